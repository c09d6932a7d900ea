"""The command line: ``python -m scripts.testbed up|run|down|status|check``."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from . import api, bed, binaries, prerequisites
from .cache import folder
from .steps import SetupError


def main() -> int:
    """Carry out the command line and return the exit status."""
    words = sys.argv[1:]
    split = words.index("--") if "--" in words else len(words)
    arguments = _parser().parse_args(words[:split])
    command = words[split + 1 :]
    if sys.platform != "win32":
        for number in (signal.SIGTERM, signal.SIGHUP):  # an end from outside cleans up too
            signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        return _carry_out(arguments, command)
    except SetupError as error:
        print(f"testbed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.testbed", description=__doc__)
    commands = parser.add_subparsers(dest="name", required=True)
    place = argparse.ArgumentParser(add_help=False)
    place.add_argument(
        "--cache",
        type=Path,
        default=folder(),
        metavar="DIR",
        help="where everything is kept (%(default)s)",
    )
    version = argparse.ArgumentParser(add_help=False)
    version.add_argument(
        "--version", choices=binaries.VERSIONS, help=f"of a daemon of our own ({binaries.VERSION})"
    )
    daemon = argparse.ArgumentParser(add_help=False)
    daemon.add_argument(
        "--private",
        action="store_true",
        default=os.environ.get("CI") == "true",
        help="use no running or installed Ollama; so do CI=true, --version, --port and --env",
    )
    daemon.add_argument("--port", type=int, default=0, help="of a daemon of our own (any free one)")
    daemon.add_argument(
        "--env",
        action="append",
        default=[],
        type=_setting,
        metavar="K=V",
        help="setting of a daemon of our own, such as OLLAMA_MAX_QUEUE=1",
    )
    options = [place, version, daemon]
    commands.add_parser("up", parents=options, help="find or start a daemon with the test models")
    commands.add_parser(
        "run",
        parents=options,
        usage="%(prog)s [options] -- COMMAND...",
        help="run COMMAND with OLLAMA_HOST set, then stop what was started",
    )
    commands.add_parser("down", parents=[place], help="stop what `up` started")
    commands.add_parser("status", parents=[place], help="show daemons and their models")
    commands.add_parser("check", parents=[place, version], help="show what a build would need")
    return parser


def _setting(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise argparse.ArgumentTypeError("K=V is expected")
    return name, value


def _carry_out(arguments: argparse.Namespace, command: list[str]) -> int:
    cache: Path = arguments.cache.resolve()
    if arguments.name == "down":
        bed.down(cache)
    elif arguments.name == "status":
        return _show_status(cache)
    elif arguments.name == "check":
        return _show_check(cache, arguments.version or binaries.VERSION)
    else:
        wish = bed.Wish(
            cache, arguments.private, arguments.version, arguments.port, dict(arguments.env)
        )
        if arguments.name == "run":
            if not command:
                raise SetupError("run needs `-- COMMAND...`")
            return bed.run(command, wish)
        print(f"OLLAMA_HOST={bed.up(wish, lasting=True).url}")
    return 0


def _show_status(cache: Path) -> int:
    """Print each daemon with its models; 1 if there is none."""
    urls = [url for url in dict.fromkeys([bed.host(), *bed.running(cache)]) if api.version(url)]
    for url in urls:
        own = " (started by `up`)" if url in bed.running(cache) else ""
        print(f"{url} Ollama {api.version(url)}{own}: {', '.join(sorted(api.tags(url)))}")
    if not urls:
        print("no daemon answers")
    return 0 if urls else 1


def _show_check(cache: Path, version: str) -> int:
    """Print each prerequisite; 1 if one is missing."""
    findings = prerequisites.examine(cache, binaries.go_version(version))
    for found in findings:
        print(f"{found.state:8} {found.name:16} {found.note}")
    return int(any(found.state == "missing" for found in findings))


if __name__ == "__main__":
    sys.exit(main())
