"""Enter this server in an MCP client's own file, and see that it answers there.

The change is shown and asked about, a copy of the file is kept, and all else in the file stays as
it is. Then the server is started as the client will start it. Without CLIENT: list the clients,
and where the server is installed.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..clients.catalogue import CLIENTS, OPEN_WEBUI, Client, Computer
from ..errors import InvalidArgument
from . import _change as change
from ._change import UNWELL, USAGE, WELL, say

if TYPE_CHECKING:
    import argparse

    from ..clients.launch import Start
    from ..clients.trial import Answer
    from ..settings import Settings

#: Settings that are flags of this command too.
SETTINGS = ("log_level",)
#: Variables by which uvx finds packages, and reaches where they are.
OF_UVX = (
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
    "UV_INDEX_URL",
    "UV_SYSTEM_CERTS",
    "UV_NATIVE_TLS",
    "SSL_CERT_FILE",
    "HTTPS_PROXY",
)
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

IN_OPEN_WEBUI = """\
Open WebUI has no file to write to: its administrator enters an address in the browser.
1. Start this server: ollama-mcp-server --transport http --gateway
2. In Open WebUI: Admin Panel, Settings, External Tools, +
   either  Type OpenAPI                URL http://127.0.0.1:8000/tools/ollama
   or      Type MCP (Streamable HTTP)  URL http://127.0.0.1:8000/mcp
Where Open WebUI runs in a container, its 127.0.0.1 is not this computer: start the server with
--host 0.0.0.0 and a key (ollama-mcp-server keys add NAME), enter http://host.docker.internal:8000
instead, and the key as the bearer token.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    change.add_arguments(parser, optional=True)
    parser.add_argument(
        "--env",
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help="a variable that the client is to give the server; without VALUE, as it is here",
    )


def main(arguments: argparse.Namespace, settings: Settings) -> int:
    """Run the command; returns the exit status, 1 if nothing was changed or the server is silent.

    Raises:
        OllamaMCPError: the file cannot be read, changed or written.
    """
    computer = change.this_computer()
    if arguments.client is None:
        from ._clients import show

        show(computer, arguments.as_json)
        return WELL
    if arguments.client == OPEN_WEBUI:
        sys.stdout.write(IN_OPEN_WEBUI)
        return WELL
    return install(CLIENTS[arguments.client], computer, arguments)


def install(client: Client, computer: Computer, arguments: argparse.Namespace) -> int:
    """Enter the server in a client's file, and start it as the client will.

    Raises:
        OllamaMCPError: the file cannot be read, changed or written.
    """
    import anyio

    from ..clients.entries import added, entries
    from ..clients.file import read
    from ..clients.launch import command
    from ..clients.trial import tried
    from ._clients import is_found

    name, file = arguments.name, change.place(client, computer, arguments.scope)
    if not _NAME.fullmatch(name):
        raise InvalidArgument(
            "a server's name has letters, digits, - and _ only, and at most 64 of them",
            "Give another --name",
        )
    words = command(this_start(computer.env), is_shared=arguments.scope == "project")
    entry = client.entry(name, words, variables(arguments.env, computer.env))
    before = read(file)
    after = added(before, client.format, client.container, name, entry, str(file))
    told = {"client": client.name, "file": str(file), "name": name, "changed": before != after}
    if arguments.scope == "user" and not is_found(client, computer):
        say(f"{client.title} does not seem to be on this computer; its file is {file}")
    if before == after:
        say(f"{client.title} has this server already, as {name!r} in {file}")
    elif not arguments.as_json:
        change.show(change.difference(before, after, file))
    if arguments.only_print:
        return _told(arguments, told, WELL)
    if before != after:
        if not (agreed := change.agreed(arguments)):
            return USAGE if agreed is None else UNWELL
        backup = change.make(file, before, after)
        told["backup"] = str(backup) if backup else None
    written = entries(read(file), client.format, client.container, str(file))[name]
    command_line, env = client.launch(written)
    for variable in left_out(computer.env, env, command_line):
        say(f"{variable} is set here, but not there: --env {variable} passes it on")
    say(f"starting the server as {client.title} does")
    home = Path(computer.home)
    folder = home if arguments.scope == "user" and home.is_dir() else Path.cwd()
    answer = anyio.run(tried, command_line, env, folder)
    told |= {"command": command_line, **as_object(answer)}
    if answer.error is not None:
        say(f"it did not answer: {answer.error}")
        return _told(arguments, told, UNWELL)
    say(f"it answered: {answer.tools} tools in {answer.ms} ms")
    say(f"{client.title}: {client.then[:1].lower()}{client.then[1:]}")
    return _told(arguments, told, WELL)


def this_start(environ: Mapping[str, str]) -> Start:
    """Return how this process was started."""
    from importlib.metadata import PackageNotFoundError, distribution

    from ..clients.launch import PROGRAM, Start

    try:
        origin = json.loads(distribution(PROGRAM).read_text("direct_url.json") or "null")
    except PackageNotFoundError:  # it runs from a folder, not installed
        origin = None
    beside = shutil.which("uvx", path=str(Path(environ["UV"]).parent)) if "UV" in environ else None
    uvx = beside or shutil.which("uvx")
    return Start(
        script=Path(shutil.which(sys.argv[0]) or sys.argv[0]).absolute(),
        python=Path(sys.executable),
        uvx=Path(uvx) if uvx else None,
        origin=origin,
    )


def variables(given: Sequence[str], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that are named, each with its value.

    Raises:
        InvalidArgument: a name is none, or has no value here.
    """
    found = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not _VARIABLE.fullmatch(name):
            raise InvalidArgument(f"--env {name!r} names no variable", "Write NAME=VALUE")
        if not equals and name not in environ:
            raise InvalidArgument(f"--env {name}: it has no value here", f"Write {name}=VALUE")
        found[name] = value if equals else environ[name]
    return found


def left_out(
    environ: Mapping[str, str], passed: Mapping[str, str], command: Sequence[str]
) -> list[str]:
    """Return the variables that are set here for a command, and that its entry does not set."""
    wanted = ("OLLAMA_HOST", "OLLAMA_API_KEY", *(OF_UVX if Path(command[0]).stem == "uvx" else ()))
    return sorted(
        name
        for name in environ
        if name not in passed and (name in wanted or name.startswith("OLLAMA_MCP_"))
    )


def as_object(answer: Answer) -> dict[str, Any]:
    """Return what came of a trial as `--json` prints it."""
    if answer.error is not None:
        return {"answered": False, "error": answer.error}
    return {"answered": True, "tools": answer.tools, "ms": answer.ms}


def _told(arguments: argparse.Namespace, told: Mapping[str, Any], status: int) -> int:
    """Print what was done, where JSON is asked for; returns the exit status."""
    if arguments.as_json:
        sys.stdout.write(json.dumps(told, ensure_ascii=False, indent=2) + "\n")
    return status
