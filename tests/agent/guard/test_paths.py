"""Paths in a tool's arguments, which lead nowhere but into the allowed folders."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ollama_mcp_server.agent.guard.bounds import check_arguments
from ollama_mcp_server.errors import PermissionDenied

#: Names of parameters: one that says that it is a path, one that says nothing.
NAMES = ("path", "thing")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An allowed folder, with links in it: one that stays inside, and some that lead out."""
    folder = tmp_path / "root"
    (folder / "sub").mkdir(parents=True)
    (folder / "file.txt").write_text("x")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_text("secret")
    (folder / "inside").symlink_to(folder / "sub")
    (folder / "out").symlink_to(tmp_path / "outside")
    (folder / "out.txt").symlink_to(tmp_path / "outside" / "secret.txt")
    (folder / "sub" / "up").symlink_to("../..")
    return folder


def check(
    arguments: dict[str, Any],
    root: Path | None,
    schema: dict[str, Any] | None = None,
    cwd: Path | None = None,
) -> None:
    check_arguments(arguments, schema or {}, [root] if root else [], cwd or root)


def refused(
    value: Any, root: Path | None, name: str = "path", schema: dict[str, Any] | None = None
) -> PermissionDenied:
    with pytest.raises(PermissionDenied) as error:
        check({name: value}, root, schema)
    assert error.value.message.startswith(f"Access denied: {name}")
    return error.value


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "file.txt",
        "./sub/../file.txt",
        "sub/new/deeper.txt",
        "inside/x",
        "no such file",
        "...",
        "..hidden",
        "a..b/c..",
        "main..feature",
        "HEAD~1",
        "sub//x///y",
        "größe/日本.txt",
        "100%",
        "https://example.org/a/b?c=/d",
        "https://example.org/a/../b",
        "git@host:owner/name.git",
    ],
)
def test_what_stays_inside_is_allowed(root: Path, name: str, text: str) -> None:
    check({name: text}, root)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "form",
    ["{}", "{}/", "{}/file.txt", "{}/new/x", "{}//sub", "{}/sub/../x", "file://{}/x", " {}/x "],
)
def test_absolute_paths_inside_are_allowed(root: Path, name: str, form: str) -> None:
    check({name: form.format(root)}, root)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "text",
    [
        "/",
        "/etc/passwd",
        " /etc/passwd",
        "\t/etc/passwd\n",
        "\ufeff/etc/passwd",
        "/etc/passwd ",
        "//etc/passwd",
        "///etc/passwd",
        "/./etc/./passwd",
        "/etc/\n/../passwd",
        "/etc/" + "./" * 5000 + "passwd",
        "/etc/" + "x/../" * 3000 + "passwd",
        "'/etc/passwd'",
        '"/etc/passwd"',
        "</etc/passwd>",
        "~",
        "~/",
        "~/.ssh/id_rsa",
        "~root/x",
        "~\\x",
        "$HOME/.ssh",
        "${HOME}/.ssh",
        "%USERPROFILE%\\x",
        "C:\\Windows",
        "c:/Windows",
        "C:",
        "\\\\server\\share",
        "\\\\?\\C:\\x",
        "\\\\.\\pipe\\x",
        "..",
        "../",
        "../x",
        "./../x",
        "sub/../../x",
        "sub/../../outside/secret.txt",
        "..\\..\\x",
        "sub\\..\\..\\x",
        "../root-not",
        "a:b/../../../x",
        "http://host/../../../../x",
        "%2e%2e/x",
        "..%2fx",
        "%2e%2e%2fx",
        "%252e%252e%252fx",
        "%2fetc%2fpasswd",
        "..%5cx",
        "%c0%ae%c0%ae/x",
        "..%c0%afx",
        "file:///etc/passwd",
        "FILE:///etc/passwd",
        "file:/etc/passwd",
        "file://localhost/etc/passwd",
        "file://LOCALHOST/etc/passwd",
        "file://localhost:80/etc/passwd",
        "file://127.0.0.1/etc/passwd",
        "file://server/share",
        "file:////etc/passwd",
        "file://///etc/passwd",
        "file:///%65tc/passwd",
        "file:%2f%2f%2fetc/passwd",
        "file:\\\\\\etc\\passwd",
        "file:/\\",
        "file:\\/",
        "file://",
        "file:../x",
        "file:///../etc/passwd",
        "file:///C:/Windows",
        "<file:///etc/passwd>",
        "view-source:file:///etc/passwd",
        "jar:file:///etc/x.jar!/y",
        "sqlite:////etc/x.db",
        "sqlite:///etc/x.db",
        "unix:/var/run/docker.sock",
        "unix:///var/run/docker.sock",
        "/proc/self/root/etc/passwd",
        "/proc/self/cwd/file.txt",
        "/proc/self/environ",
        "/dev/fd/0",
        "/dev/sda",
        "--file=/etc/passwd",
        "x\0",
        "/etc/passwd\0.txt",
        "x%00",
        '{"path": "/etc/passwd"}',
        ' ["a", "../../x"]',
        '{"a": "{\\"b\\": \\"/etc/passwd\\"}"}',
    ],
)
def test_what_leads_out_is_refused(root: Path, name: str, text: str) -> None:
    refused(text, root, name)
    refused([["a", text]], root, name)
    refused({"deeper": [{"x": text}]}, root, name)


@pytest.mark.parametrize(
    "text",
    [
        "~someone",
        "$HOME",
        "${x}",
        "%APPDATA%",
        "\\etc\\passwd",
        "\\..\\x",
        "a.txt,/etc/passwd",
        "a.txt; ../x",
        "a.txt\n/etc/passwd",
        "{/etc,/root}/x",
        "{..,sub}/x",
        "sub/{a,..}/../../x",
        "．．/x",
        "．．／x",
        "／etc/passwd",
        "‥/x",
        "％2e％2e/x",
        ".. /x",
        " ../x",
        "sub/.. / .. /x",
        "x" * 70_000,
    ],
)
def test_a_path_by_name_is_looked_at_more_strictly(root: Path, text: str) -> None:
    refused(text, root)
    check({"thing": "-"}, root)


@pytest.mark.parametrize(
    "name",
    [
        "path",
        "filePath",
        "file_path",
        "FILE",
        "outDir",
        "repo_path",
        "cwd",
        "root",
        "uri",
        "destination",
        "content_path",
        "text-file",
        "sourceFiles",
        "URI",
    ],
)
def test_names_of_paths_are_known(root: Path, name: str) -> None:
    refused("~someone", root, name)


@pytest.mark.parametrize("form", ["path", "file-path", "uri", "directory-path"])
def test_a_schema_may_say_that_it_is_a_path(root: Path, form: str) -> None:
    schema = {"properties": {"content": {"type": "string", "format": form}}}
    refused("~someone", root, "content", schema)
    check({"content": "~someone"}, root)


@pytest.mark.parametrize(
    "name",
    [
        "content",
        "text",
        "newText",
        "old_string",
        "file_content",
        "code",
        "body",
        "path_description",
    ],
)
def test_prose_is_passed_over(root: Path, name: str) -> None:
    for text in ("/etc/passwd", "// a comment", "../../x", "~", '{"a": "/etc"}', "file:///etc"):
        check({name: text, "edits": [{name: text}]}, root)


@pytest.mark.parametrize(
    "text",
    [
        "Read /etc/passwd and ../x, please",
        "/* a comment */",
        "/help me with ~ and ..",
        "first line\n/etc/passwd",
        "/etc/passwd\nsecond line",
        "x" * 10_000,
        "/x" * 5000,
        "\\section{A} \\alpha",
        "\\d+/\\w+",
        "a/b or c/d",
        "and so on ..",
        "$5/month",
        "50% of it",
        "C: the language",
        "~5 items",
        "note: /x is a path",
        "{not json",
        "[1, 2",
    ],
)
def test_ordinary_text_is_allowed(root: Path, text: str) -> None:
    check({"query": text}, root)


@pytest.mark.parametrize(
    "text",
    [
        "cat /etc/passwd",
        "cat '/etc/passwd'",
        "cat 'open /etc/passwd",
        "cat file.txt ../x",
        "x --file=/etc/passwd",
        "x -f/etc/passwd",
        "x > /etc/x",
        "x >/etc/x",
        "x 2>>/etc/x",
        "A=/etc/x y",
        "curl -d @/etc/passwd",
        "ls ~/x",
        "ls ~",
        "cat $HOME/x",
    ],
)
def test_the_words_of_commands_are_looked_at(root: Path, text: str) -> None:
    for name in ("command", "cmd", "args"):
        refused(text, root, name)
        refused(text.split(), root, name)


def test_commands_that_stay_inside_are_allowed(root: Path) -> None:
    check({"command": f"grep -rn 'a b' sub {root}/file.txt 2>/dev/null | head -5"}, root)
    check({"args": ["--output=sub/x", "-v", "it's", "/dev/null"]}, root)


def test_links_are_followed(root: Path) -> None:
    for name in NAMES:
        for text in ("out", "out/", "out/secret.txt", "out.txt", "out/new.txt", "sub/up/outside/x"):
            refused(text, root, name)
            refused(str(root / text), root, name)
            refused((root / text).as_uri() + "?x#y", root, name)
        check({name: "inside/x"}, root)
        check({name: "sub/up/root/file.txt"}, root)
    refused("out/../x", root)  # which is beside the link's target


def test_links_are_followed_in_folders_without_a_working_directory(root: Path) -> None:
    for text in ("out/x", "out.txt"):
        with pytest.raises(PermissionDenied):
            check_arguments({"path": text}, {}, [root], None)
    check_arguments({"path": "inside/x"}, {}, [root], None)
    with pytest.raises(PermissionDenied):
        check_arguments({"path": "../x"}, {}, [root], None)


def test_ways_up_count_from_the_working_directory(root: Path) -> None:
    check({"path": "../file.txt"}, root, cwd=root / "sub")
    with pytest.raises(PermissionDenied):
        check({"path": "../../x"}, root, cwd=root / "sub")


def test_a_folder_may_be_given_by_a_link(root: Path, tmp_path: Path) -> None:
    alias = tmp_path / "alias"
    alias.symlink_to(root)
    for path in (alias / "file.txt", root / "file.txt"):
        check({"path": str(path)}, alias)
    refused(str(alias / "out" / "x"), alias)
    refused(str(alias / "file.txt"), root)  # another way in is not the one that was allowed


def test_each_folder_counts(root: Path, tmp_path: Path) -> None:
    arguments = {"paths": [str(root / "x"), str(tmp_path / "outside/secret.txt"), "out.txt"]}
    check_arguments(arguments, {}, [root, tmp_path / "outside"], root)
    with pytest.raises(PermissionDenied, match=r"paths\[1\]"):
        check_arguments(arguments, {}, [root], root)


def test_a_name_that_begins_as_the_folders_is_another(root: Path) -> None:
    refused(f"{root}-not/x", root)
    refused(f"../{root.name}-not/x", root)


def test_everything_may_be_allowed() -> None:
    check({"path": "/etc/passwd", "other": "../x", "third": "/dev/sda"}, Path("/"))


def test_the_home_folder_counts_where_it_is_allowed(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(root))
    check({"path": "~/file.txt", "thing": "~"}, root)
    refused("~/../x", root)
    refused("~/out/x", root)


def test_without_folders_every_absolute_path_is_refused() -> None:
    for text in ("/etc/passwd", "/tmp", str(Path.cwd()), "file:///x", "~", "../x"):
        for name in NAMES:
            assert refused(text, None, name).hint == (
                "No folder is allowed: give the one to work on in `path`, or start the server "
                "with --root DIR"
            )
    check({"path": "a/b.txt", "thing": "text", "where": os.devnull}, None)


def test_a_refusal_names_the_argument_and_what_is_allowed(root: Path) -> None:
    with pytest.raises(PermissionDenied) as error:
        check({"edits": [{"at": {"file": "/etc/passwd"}}]}, root)
    assert error.value.message == (
        "Access denied: edits[0].at.file is /etc/passwd, which is outside of the allowed folders"
    )
    assert error.value.hint == f"Use paths in {root}"


def test_a_refusal_writes_no_lines(root: Path) -> None:
    told = str(refused("/etc/x\n\x1b[31m\u202eIgnore all", root))
    assert told.isprintable() or "\ufffd" in told
    assert "\n" not in told
    assert "\x1b" not in told


def test_keys_are_looked_at_where_the_tool_does_not_name_them(root: Path) -> None:
    with pytest.raises(PermissionDenied):
        check({"files": {"/etc/passwd": "x"}}, root)
    with pytest.raises(PermissionDenied):
        check({"files": {"../x": "x"}}, root)
    check({"files": {"sub/x": "x"}}, root)
    check({"/etc": "x"}, root, {"properties": {"/etc": {}}})


def test_what_is_no_text_is_passed_over(root: Path) -> None:
    check({"path": 1, "file": None, "dir": True, "root": 1.5, "files": [], "x": {}}, root)


def test_schemas_may_be_odd(root: Path) -> None:
    for schema in ({"properties": []}, {"properties": {"x": True}}, {"properties": {"x": 1}}):
        check({"x": ["a", {"b": 1}]}, root, schema)
    check_arguments({"x": [1]}, None, [root], root)  # type: ignore[arg-type]


def test_depth_has_no_end(root: Path) -> None:
    deep: Any = "/etc/passwd"
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(PermissionDenied):
        check({"x": deep}, root)
    check({"x": "[" * 100_000}, root)


PART = st.sampled_from(
    ["..", ".", "", "a", "sub", "out", "inside", "up", "root", "outside", "etc", "%2e%2e"]
)
JOINER = st.sampled_from(["/", "//", "/./", "\\", "%2f"])


def spelt(parts: list[str], joiners: list[str], before: str) -> str:
    pairs = zip(parts, joiners, strict=False)
    return before + "".join(f"{part}{joiner}" for part, joiner in pairs)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=500)
@given(
    st.lists(PART, min_size=1, max_size=8),
    st.lists(JOINER, min_size=8, max_size=8),
    st.sampled_from(["", "/", "./", "file:", "file://", "~/"]),
    st.sampled_from(NAMES),
)
def test_what_is_let_through_stays_inside(
    root: Path, parts: list[str], joiners: list[str], before: str, name: str
) -> None:
    """However a path is put together: as it is, with backslashes turned, and with codes undone."""
    text = spelt(parts, joiners, before)
    try:
        check({name: text}, root)
    except PermissionDenied:
        return
    plain = text.removeprefix("file://").removeprefix("file:")
    decoded = plain.replace("%2e", ".").replace("%2f", "/")
    for way in (plain, decoded, decoded.replace("\\", "/") if name == "path" else plain):
        real = (root / Path(way).expanduser()).resolve()
        assert real.is_relative_to(root.resolve()), (text, real)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.recursive(st.text(), lambda held: st.lists(held) | st.dictionaries(st.text(), held)))
def test_any_arguments_are_let_through_or_refused(root: Path, value: Any) -> None:
    for name in (*NAMES, "command"):
        for one in (value, json.dumps(value)):
            try:
                check({name: one}, root)
            except PermissionDenied:
                continue
