"""Let a local model read a change first."""

from fastmcp.prompts import prompt

from ._words import REFUSED, call, quoted

#: What is asked of the reviewing model.
TASK = (
    "Review this diff. Report what is wrong or risky in the changed lines: bugs, unhandled errors, "
    "security, callers that break. No praise, no matters of taste; an empty list if all is well."
)
#: The form of its answer; bounded, since a small model may find no end.
FINDINGS = {
    "type": "object",
    "properties": {
        "findings": {
            "type": "array",
            "maxItems": 10,
            "items": {
                "type": "object",
                "properties": {
                    "file": {"type": "string"},
                    "line": {"type": "integer"},
                    "severity": {"enum": ["high", "medium", "low"]},
                    "problem": {"type": "string", "maxLength": 300},
                    "fix": {"type": "string", "maxLength": 300},
                },
                "required": ["file", "severity", "problem"],
            },
        }
    },
    "required": ["findings"],
}
#: Where a host that can run commands puts the diff, for the server to read.
SCRATCH = "ollama-review.diff"


@prompt(title="Review a diff with a local model")
def review_diff(diff: str = "", focus: str = "", model: str = "") -> str:
    """Get a second pair of eyes on a change; what it finds is checked before it is reported.

    Args:
        diff: The diff itself, or the path of a file that holds it. Default: git diff HEAD.
        focus: What to look for above all, such as error handling. Default: everything.
        model: Model that reviews. Default: the one that the server picks.
    """
    task = f"{TASK} Above all: {focus.strip()}" if focus.strip() else TASK
    given = diff.strip()
    is_text = "\n" in given
    asked = call(
        "ollama_generate",
        files=[] if is_text else [given or SCRATCH],
        prompt=f"{task} …" if is_text else task,
        format=FINDINGS,
        model=model,
    )
    call_it = f"Call once:\n\n{asked}"
    if is_text:
        put = f"In place of … in prompt put this diff, unchanged:\n\n{quoted('diff', given)}"
        steps = f"{call_it}\n\n{put}"
    elif given:
        steps = f"Do not read {given} yourself. {call_it}\n\n{REFUSED}"
    else:
        steps = (
            f"Write the diff to a file, without reading it: git diff HEAD > {SCRATCH} (if you "
            f"cannot run commands, ask me for the diff). {call_it}\n\nThen delete it. {REFUSED}"
        )
    return f"""\
Review a change with a local model. {steps}

If it answers context_overflow, review the diff in parts, file by file.

A small model sees problems where there are none: look at the code behind each finding, and drop \
what does not hold. Report what is left, the worst first, each with file, line, problem and fix; \
then how many findings you dropped, and the model that made them. If nothing is left, say so."""
