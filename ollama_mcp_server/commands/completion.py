r"""Print what lets a shell complete this command: its commands, flags, and what they take.

  bash   ollama-mcp-server completion bash \
           > ~/.local/share/bash-completion/completions/ollama-mcp-server
  zsh    ollama-mcp-server completion zsh > FOLDER/_ollama-mcp-server, a folder of $fpath
  fish   ollama-mcp-server completion fish > ~/.config/fish/completions/ollama-mcp-server.fish

Or for this shell alone: source <(ollama-mcp-server completion bash), or zsh.
Models are those that `ollama list` tells, where that program is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, get_args

from ..settings import Settings

if TYPE_CHECKING:
    import argparse

#: Settings that are flags of this command too.
SETTINGS = ("log_level",)
#: The names of the installed models; all three shells read it so, between double quotes. A name
#: with other characters could be a command to bash, which expands the words that it offers.
MODELS = r"$(ollama list 2>/dev/null | awk 'NR > 1 && $1 ~ /^[A-Za-z0-9._:\/-]+$/ {print $1}')"
#: For bash and zsh: from `line`, the command up to the cursor, to the words that are offered.
SHARED = """\
  local cur="${line##* }" rest="${line% *}" command= offered=
  local prev="${rest##* }"
  case "$rest" in *' '*) command="${rest#* }" command="${command%% *}" ;; esac
  case "$command" in -*) command= ;; esac
  case "$command $prev $cur" in
BRANCHES
  esac"""
BASH = """\
_ollama_mcp_server() {
  local line="${COMP_LINE:0:COMP_POINT}"
SHARED
  COMPREPLY=($(compgen -W "$offered" -- "$cur"))
  # Where a colon parts words, only what comes after it is replaced.
  if [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]]; then
    COMPREPLY=("${COMPREPLY[@]#"${cur%:*}:"}")
  fi
}
complete -o default -F _ollama_mcp_server ollama-mcp-server
"""
ZSH = """\
#compdef ollama-mcp-server
_ollama_mcp_server() {
  local line="${(j: :)words[1,CURRENT]}"
SHARED
  if [[ -n $offered ]]; then compadd -- ${=offered}; else _files; fi
}
if [[ $funcstack[1] == _ollama-mcp-server ]]; then
  _ollama_mcp_server
else
  compdef _ollama_mcp_server ollama-mcp-server
fi
"""
FISH = """\
function __ollama_mcp_server
  set -l typed (commandline -opc)
  set -l command (string match -v -- '-*' "$typed[2]")
  switch "$command $typed[-1] "(commandline -ct)
BRANCHES
  end
end
complete -c ollama-mcp-server -f -a '(__ollama_mcp_server)'
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="which shell")


def main(arguments: argparse.Namespace, settings: Settings) -> int:
    """Run the command; returns the exit status."""
    if arguments.shell == "fish":
        script = FISH
        lines = [f"  case '{case}'\n    {in_fish(said)}" for case, said in table()]
    else:
        script = (BASH if arguments.shell == "bash" else ZSH).replace("SHARED", SHARED)
        space = "\\ "
        lines = [f'  {case.replace(" ", space)}) offered="{said}" ;;' for case, said in table()]
    sys.stdout.write(script.replace("BRANCHES", "\n".join(lines)))
    return 0


def table() -> Iterator[tuple[str, str]]:
    """Return what is offered where: patterns of "COMMAND PREVIOUS CURRENT", the first that fits.

    COMMAND is empty for what the server itself takes; where nothing can be listed, files are.
    """
    from ..flags import COMMANDS, command_parser, parser

    parsers = {name: command_parser(name)[1] for name in COMMANDS}
    for name, made in {**parsers, "": parser()}.items():
        flags = [flag for action in made._actions for flag in action.option_strings]
        placed = [] if name else [*COMMANDS]
        for action in made._actions:
            if not action.option_strings:
                placed.append(values(action))
            elif action.nargs != 0:
                for flag in action.option_strings:
                    yield f"{name} {flag} *", values(action)
        yield f"{name} * -*", " ".join(flags)
        yield f"{name} *", " ".join(filter(None, placed)) or " ".join(flags)


def in_fish(said: str) -> str:
    """Return what prints words in fish, each on a line of its own."""
    return f"string split ' ' -- \"{said}\"" if said else "__fish_complete_path (commandline -ct)"


def values(action: argparse.Action) -> str:
    """Return what an argument takes, with spaces between; "" where nobody can list it."""
    if action.dest == "model":
        return MODELS
    field = Settings.model_fields.get(action.dest)
    known = action.choices or (get_args(field.annotation) if field else ())
    return " ".join(word for word in known if isinstance(word, str))
