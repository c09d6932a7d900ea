"""Hand a task to a local model."""

from fastmcp.prompts import prompt

from ._words import quoted


@prompt(title="Delegate a task to a local model")
def delegate_task(task: str, model: str = "") -> str:
    """Let a local model do a task, and check what it did: private, and free of charge.

    Args:
        task: What is to be done, with what it needs: text, or paths of files.
        model: Model that does it. Default: the one that the server picks.
    """
    named = f'with model "{model}"' if model else "without model (the server picks one)"
    return f"""\
Have a local model do this task with the tool ollama_generate, instead of doing it yourself:

{quoted("task", task)}

1. Call ollama_generate {named}. The local model sees nothing of this conversation: write into \
prompt the task, every fact it needs, and the form that the answer must have.
2. If the task is about files, name their paths in files; do not read them yourself.
3. If the answer is data, give its JSON Schema in format.
4. Local models are small: of a task with several parts make one call each, and put the parts \
together yourself.
5. Check the answer against the task. If it falls short, ask once more with a sharper prompt; if \
it still does, say so rather than passing it off as done.

Then give me the result, and name the model that made it."""
