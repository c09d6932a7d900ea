"""Command lines that are started as servers, and those that are not, however they are dressed."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from ollama_mcp_server.agent.definitions.documents import Definition
from ollama_mcp_server.agent.guard.bounds import check_command
from ollama_mcp_server.agent.guard.programs import BLOCKED, SHELLS
from ollama_mcp_server.errors import PermissionDenied


def server(*words: str, **fields: object) -> Definition:
    return Definition.model_validate(
        {"name": "files", "command": words[0], "args": list(words[1:]), **fields}
    )


def refusal(definition: Definition) -> str:
    with pytest.raises(PermissionDenied) as refused:
        check_command(definition)
    assert refused.value.message.startswith("Access denied: the server files ")
    assert refused.value.hint
    return refused.value.message


@pytest.mark.parametrize("name", [name for names in BLOCKED.values() for name in names.split()])
def test_blocked_programs_are_refused_wherever_they_stand(name: str) -> None:
    for word in (name, name.upper(), f"/usr/bin/{name}", f"../{name}", rf"C:\Tools\{name}.EXE"):
        assert "would start" in refusal(server(word, "x"))
    for line in (f"env {name}", f"nohup /bin/{name} x", f"busybox ./{name}", f"uv run -- /{name}"):
        refusal(server(*line.split()))


def test_a_refusal_says_what_would_be_started_and_why() -> None:
    assert refusal(server("/bin/bash", "-c", "x")) == (
        "Access denied: the server files would start /bin/bash: bash is a shell"
    )


@pytest.mark.parametrize(
    "line",
    [
        "bash5 x",
        "bash.exe.cmd",
        "nc.openbsd -l",
        "mkfs.ext4 /dev/sda",
        "/bin/../bin/./sh",
        "env -i A=b C=d sh",
        "env -u HOME -C / sh",
        "env -iu HOME sh",
        "env -- A=b sh",
        "env env env env bash",
        "nice -n 5 sh",
        "nice -5 sh",
        "ionice -c 3 nice -n5 sh",
        "timeout 30 sh",
        "timeout -k 5 -s KILL 30s sh",
        "timeout --kill-after 5 --foreground 30 sh",
        "timeout --unheard-of value 30 sh",
        "time -p -o out sh",
        "setsid -w sh",
        "stdbuf -oL -e 0 sh",
        "chroot --userspec=a:b / sh",
        "unshare -r -R /x sh",
        "strace -f -o out sh",
        "taskset 3 sh",
        "flock /tmp/lock sh",
        "toybox nc -l",
        "npx sh",
        "npx -y -p cowsay bash",
        "npm exec -- sh",
        "pnpm dlx sh",
        "uv --directory /x run --with rich bash",
        "uv run -- sh",
        "uv tool run sh",
        "uvx --from x sh",
        "pipx run sh",
        "poetry run sh",
        "conda run -n base sh x",
        "bun run sh",
        "any-program sh -c x",
        "any-program /bin/bash -lc x",
        "any-program cmd /c x",
        "any-program run -- sudo x",
    ],
)
def test_what_starts_others_is_looked_through(line: str) -> None:
    assert "would start" in refusal(server(*line.split()))


@pytest.mark.parametrize(
    "line",
    [
        "python -c x",
        "python3.11 -Ic x",
        "/usr/bin/python3 -B -W ignore -c x",
        "python -Wm -c x",
        "python -X dev -c x",
        "pypy3 -cx",
        "py -3.12 -c x",
        "env python3 -c x",
        "uv run python -c x",
        "perl -e x",
        "perl -we x",
        "perl -C -e x",
        "perl -I lib -ne x",
        "ruby -ne x",
        "ruby -r json -e x",
        "node -e x",
        "node --eval=x",
        "nodejs -pe x",
        "node -r ./a.js --print x",
        "node --no-warnings --icu-data-dir x -e y",
        "node --import data:text/javascript,x",
        "node --import=data:text/javascript,x",
        "deno eval x",
        "deno run data:text/javascript,x",
        "bun -e x",
        "bun --print x",
        "php -r x",
        "lua5.4 -e x",
        "Rscript -e x",
        "osascript -e x",
        "npx -c x",
        "npx --call=x",
        "npx --cal x",
        "npm exec -c x",
        "npx -y tsx -e x",
        "flock /tmp/lock -c x",
        "flock -c x",
    ],
)
def test_code_in_an_argument_is_refused(line: str) -> None:
    assert "code" in refusal(server(*line.split()))


@pytest.mark.parametrize(
    "words",
    [
        ("env", "-S", "sh -c x"),
        ("env", "-S sh -c x"),
        ("env", "-iS", "A=b sh -c x"),
        ("env", "-Spython3 -c x"),
        ("env", "--split-string=python3 -c x"),
        ("env", "--split", "sh -c x"),
        ("env", "--sp=sh -c x"),
        ("env", "-S", "${SHELL} x"),
        ("env", "-S", r"s\h x"),
        ("env", "-S", "'open"),
    ],
)
def test_words_that_env_splits_are_looked_at(words: tuple[str, ...]) -> None:
    refusal(server(*words))


@pytest.mark.parametrize(
    "line",
    [
        "npx -y @modelcontextprotocol/server-filesystem /srv/data",
        "npx -y @someone/bash",
        "npx --yes --package=cowsay cowsay",
        "npx some-package -c config.json",
        "uvx mcp-server-git --repository /usr/bin",
        "uvx --from git+https://host/x mcp-server-time --local-timezone Europe/Berlin",
        "uv --directory /srv/x run server.py",
        "uv run --with mcp[cli] mcp run server.py",
        "python -m mcp_server_python",
        "python -m server -c config.json",
        "python -u server.py -c config.json",
        "python3 -Im server",
        "node --no-warnings dist/index.js -e production",
        "node server.mjs --print",
        "perl server.pl -e x",
        "deno run --allow-net server.ts",
        "bun run server.ts",
        "java -jar server.jar",
        "docker run --rm -i mcp/time sh -c x",
        "timeout 3600 node server.js",
        "env LOG=1 npx -y some-package",
        "some-server --shell bash --allow rm,curl",
        "bwrap --ro-bind / / --unshare-net node server.js",
        "/opt/sh/server",
        "nice",
        "env",
    ],
)
def test_ordinary_servers_are_started(line: str) -> None:
    check_command(server(*line.split()))


def test_a_server_that_is_reached_by_url_starts_nothing() -> None:
    check_command(Definition(name="files", url="http://127.0.0.1:1/sh"))


@pytest.mark.parametrize(
    "argument",
    [
        "`id`",
        "$(id)",
        "<(id)",
        "a\nb",
        "a\rb",
        ";",
        "a ; b",
        "a | b",
        "a && b",
        "a || b",
        "||",
        "a > /etc/x",
        "2>> log",
        "< in",
        "x;rm -rf /",
        "x|sh",
        "x&&curl evil",
        "x; /bin/bash",
        "x &",
    ],
)
def test_shell_syntax_is_refused(argument: str) -> None:
    assert "shell syntax" in refusal(server("some-server", "--option", argument))


@pytest.mark.parametrize(
    "argument",
    [
        "https://host/path?a=1&b=2&rm=3#x",
        '{"a": ["b", 1], "c": "d;e"}',
        "postgresql://user@host/db?sslmode=require&x=y",
        "Server=host;Database=x;User Id=y;",
        "Be brief; answer in French.",
        "**/*.{ts,js}",
        "a|b",
        "$HOME",
        "a<b>c",
        "C:\\Users\\me\\x",
        "~/notes",
        "",
    ],
)
def test_ordinary_arguments_pass(argument: str) -> None:
    check_command(server("some-server", "--option", argument))


def test_what_a_batch_file_would_run_is_refused() -> None:
    check_command(server("some-server", "a&b"))
    assert "batch file" in refusal(server("npx.cmd", "-y", "x", "a&calc"))
    assert "batch file" in refusal(server(r"C:\x\server.BAT", '"'))


def test_links_are_followed_to_what_they_lead_to(tmp_path: Path) -> None:
    shell = shutil.which("sh")
    assert shell
    (tmp_path / "server").symlink_to(shell)
    (tmp_path / "again").symlink_to(tmp_path / "server")
    assert "is a shell" in refusal(server(str(tmp_path / "again"), "x"))
    assert "is a shell" in refusal(server("./again", cwd=str(tmp_path)))
    assert "is a shell" in refusal(server("env", "./server", cwd=str(tmp_path)))
    with pytest.raises(PermissionDenied):
        check_command(server("./again"), folder=tmp_path)


def test_programs_are_looked_for_where_the_server_would_look(tmp_path: Path) -> None:
    shell = shutil.which("sh")
    assert shell
    (tmp_path / "harmless").symlink_to(shell)
    check_command(server("harmless"))
    assert "is a shell" in refusal(server("harmless", env={"PATH": str(tmp_path)}))
    with pytest.raises(PermissionDenied, match="is a shell"):
        check_command(server("harmless"), search=str(tmp_path))


def test_a_wrapper_is_known_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "run").symlink_to(sys.executable)
    assert "code" in refusal(server(str(tmp_path / "run"), "-c", "x"))


def test_a_folder_named_as_a_program_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "curl").mkdir()
    check_command(server("uvx", "--unheard-of", "mcp-server-git", "-r", str(tmp_path / "curl")))
    refusal(server("uvx", "--unheard-of", "x", str(tmp_path / "curl/curl")))


def test_a_folder_here_makes_no_program_harmless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bash").mkdir()
    monkeypatch.chdir(tmp_path)
    refusal(server("bash"))
    refusal(server("bash", cwd=str(tmp_path)))


def test_no_chain_is_too_long_to_be_judged() -> None:
    refusal(server(*["nice"] * 500, "sh"))
    assert "too many" in refusal(server(*["nice"] * 500, "harmless"))


def test_odd_words_are_judged_too() -> None:
    for word in ("~nobody-of-that-name/x", "x" * 10_000, " x ", "-", "--", "...", "ﬁ", "/" * 5000):
        check_command(server(word, "", "-", "--", "=", "-="))
        check_command(server("env", word, "", "-"))


def test_shells_have_one_list() -> None:
    assert {"sh", "bash", "zsh", "dash", "ksh", "fish", "csh", "tcsh", "ash", "pwsh"} <= SHELLS


def test_a_sandbox_is_started_and_looked_into() -> None:
    box = "bwrap --unshare-all --die-with-parent --clearenv --setenv PATH /bin --ro-bind /usr /usr"
    box += " --symlink usr/bin /bin --proc /proc --dev /dev --bind /srv /srv --"
    check_command(server(*f"{box} node /opt/servers/index.js /srv".split()))
    refusal(server(*f"{box} sh server".split()))
    refusal(server(*f"{box} python -c x".split()))
