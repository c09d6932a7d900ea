"""Paths that callers give, and the folders that none of them leaves."""

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from ollama_mcp_server.delegation.inputs import roots as roots_module
from ollama_mcp_server.delegation.inputs.roots import MAX_MATCHES, Roots, shown
from ollama_mcp_server.errors import (
    InvalidArgument,
    NotFound,
    OllamaMCPError,
    PermissionDenied,
    TooLarge,
)

#: Files of the allowed folder, each holding its own name.
FILES = (
    "README.md",
    "notes [1].txt",
    "src/main.py",
    "src/sub/deep.py",
    "src/sub/deep.txt",
    ".hidden/secret.py",
    "src/.env",
    "größe.txt",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    for name in FILES:
        put(folder / name, name)
    return folder


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A file that no path may reach, beside the allowed folder."""
    return put(tmp_path / "outside" / "secret.txt", "secret")


@pytest.fixture
def roots(root: Path) -> Roots:
    return Roots([root])


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def names(roots: Roots, given: str) -> list[str]:
    return [roots.name(path) for path in roots.find(given)]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("README.md", ["README.md"]),
        ("./src//main.py", ["src/main.py"]),
        ("src/sub/../main.py", ["src/main.py"]),
        ("größe.txt", ["größe.txt"]),
        ("notes [1].txt", ["notes [1].txt"]),  # a name, although it reads as a glob
        ("{root}/src/main.py", ["src/main.py"]),
        ("file://{root}/src/main.py", ["src/main.py"]),
        ("file://localhost{root}/notes%20%5B1%5D.txt", ["notes [1].txt"]),
        ("FILE:{root}/gr%C3%B6%C3%9Fe.txt", ["größe.txt"]),
        ("src/.env", ["src/.env"]),
    ],
)
def test_a_path_names_one_file(roots: Roots, root: Path, given: str, found: list[str]) -> None:
    given = given.format(root=root)
    assert names(roots, given) == found
    assert roots.read(roots.find(given)[0], 100).decode() == found[0]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.md", ["README.md"]),
        ("**/*.py", ["src/main.py", "src/sub/deep.py"]),
        ("src/**", ["src/main.py", "src/sub/deep.py", "src/sub/deep.txt"]),
        ("src/**/*", ["src/main.py", "src/sub/deep.py", "src/sub/deep.txt"]),
        ("**/**/deep.*", ["src/sub/deep.py", "src/sub/deep.txt"]),
        ("**/sub/*.txt", ["src/sub/deep.txt"]),
        ("src/*/deep.py", ["src/sub/deep.py"]),
        ("src/main.p?", ["src/main.py"]),
        ("src/[l-n]ain.py", ["src/main.py"]),
        ("{root}/src/*.py", ["src/main.py"]),
        ("file://{root}/src/*.py", ["src/main.py"]),
        ("**/.env", ["src/.env"]),
        (".hidden/*", [".hidden/secret.py"]),
        (".*/*.py", [".hidden/secret.py"]),
    ],
)
def test_a_glob_names_files_in_order(
    roots: Roots, root: Path, pattern: str, found: list[str]
) -> None:
    assert names(roots, pattern.replace("{root}", str(root))) == found


def test_a_glob_of_many_stars_costs_no_more_than_a_look_at_each_file(
    roots: Roots, root: Path
) -> None:
    put(root / "a" / ("a" * 200), "")
    with pytest.raises(NotFound):
        roots.find("**/" * 30 + "*a" * 60 + "b")


@pytest.mark.parametrize("given", ["nothing/*.py", "*.rs", "src/*", "[a-"])
def test_a_glob_that_matches_nothing_is_an_error_unless_it_does(roots: Roots, given: str) -> None:
    if given == "src/*":
        assert names(roots, given) == ["src/main.py"]
        return
    with pytest.raises(NotFound, match="no file matches"):
        roots.find(given)


def test_a_glob_of_too_many_files_is_refused(roots: Roots, root: Path) -> None:
    for number in range(MAX_MATCHES + 1):
        put(root / "many" / f"{number}.txt", "")
    with pytest.raises(TooLarge, match=f"more than {MAX_MATCHES} files"):
        roots.find("many/*")
    assert len(roots.find("many/1*.txt")) == 111


def test_a_glob_looks_at_so_many_files_and_no_more(
    roots: Roots, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        put(root / "many" / f"{number}.txt", "")
    monkeypatch.setattr(roots_module, "MAX_ENTRIES", 10)
    with pytest.raises(TooLarge, match="would look at more than 10 files"):
        roots.find("**/*.py")


def test_several_roots_are_looked_through_in_their_order(
    roots: Roots, root: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    put(other / "README.md", "the other's")
    put(other / "only.txt", "")
    both = Roots([other, root])
    assert both.read(both.find("README.md")[0], 100) == b"the other's"
    assert names(both, "src/main.py") == ["src/main.py"]
    assert sorted(names(both, "*.md")) == ["README.md", "README.md"]
    assert names(both, f"{root}/README.md") == ["README.md"]


def test_a_root_that_is_a_link_is_known_by_both_names(root: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(root)
    for folder in (link, root):
        assert names(Roots([link]), f"{folder}/src/main.py") == ["src/main.py"]


@pytest.mark.parametrize("given", ["README.md", "*", "/etc/passwd"])
def test_without_roots_nothing_is_allowed_and_the_error_says_how_to(given: str) -> None:
    with pytest.raises(PermissionDenied, match="no folder is allowed") as caught:
        Roots([]).find(given)
    assert "--root DIR" in caught.value.hint
    assert "OLLAMA_MCP_ROOTS" in caught.value.hint


OUT = [
    "../outside/secret.txt",
    "../outside/nothing.txt",
    "src/../../outside/secret.txt",
    "{outside}/secret.txt",
    "{outside}/nothing.txt",
    "{outside}/*",
    "file://{outside}/secret.txt",
    "file://{root}/%2e%2e/outside/secret.txt",
    "../root2/x",
    "/",
    "..",
]


@pytest.mark.parametrize("given", OUT)
@pytest.mark.parametrize("way", ["find", "writable"])
def test_outside_nothing_is_told_not_even_what_exists(
    roots: Roots, root: Path, outside: Path, given: str, way: str
) -> None:
    given = given.format(root=root, outside=outside.parent)
    with pytest.raises(PermissionDenied) as caught:
        getattr(roots, way)(given)
    assert caught.value.message == f"{shown(given)} is outside of the allowed folders"
    assert "--root DIR" in caught.value.hint
    assert str(root) in caught.value.hint


@pytest.mark.parametrize("way", ["find", "writable"])
def test_links_lead_anywhere_inside_and_nowhere_else(
    roots: Roots, root: Path, outside: Path, way: str
) -> None:
    (root / "in.py").symlink_to(root / "src" / "main.py")
    (root / "in").symlink_to("src/sub")
    (root / "out.txt").symlink_to(outside)
    (root / "out").symlink_to(outside.parent)
    (root / "nowhere").symlink_to(outside.parent / "nothing.txt")
    look: Callable[[str], object] = getattr(roots, way)
    assert look("in.py")
    assert look("in/deep.py")
    for given in ("out.txt", "out/secret.txt", "out/nothing.txt", "nowhere"):
        with pytest.raises(PermissionDenied, match=f"^Error: {given} is outside"):
            look(given)


def test_a_glob_follows_links_inside_but_not_out_nor_in_circles(
    roots: Roots, root: Path, outside: Path
) -> None:
    (root / "src" / "in.py").symlink_to(root / "README.md")
    (root / "src" / "in").symlink_to("sub")
    (root / "src" / "up").symlink_to("..")
    (root / "src" / "out").symlink_to(outside.parent)
    (root / "src" / "out.txt").symlink_to(outside)
    (root / "src" / "itself").symlink_to("itself")
    (root / "src" / "gone").symlink_to("nothing")
    assert names(roots, "src/**/*.*") == [
        "src/in.py",
        "src/main.py",
        "src/sub/deep.py",
        "src/sub/deep.txt",
    ]
    assert names(roots, "src/in/*.py") == ["src/in/deep.py"]
    assert names(roots, "src/i*/*.py") == ["src/in/deep.py"]
    with pytest.raises(PermissionDenied):
        roots.find("src/out/*")
    for given in ("src/o*t/*", "src/itself"):
        with pytest.raises(NotFound):
            roots.find(given)


def test_a_link_swapped_in_after_the_look_leads_nowhere(
    roots: Roots, root: Path, outside: Path
) -> None:
    [file] = roots.find("src/main.py")
    [deep] = roots.find("src/sub/deep.txt")
    file.unlink()
    file.symlink_to(outside)
    (root / "src" / "sub").rename(root / "src" / "sub2")
    (root / "src" / "sub").symlink_to(outside.parent)
    for path in (file, deep):
        with pytest.raises(PermissionDenied, match="outside"):
            roots.read(path, 100)


def test_a_link_swapped_in_between_the_check_and_the_opening_is_not_followed(
    roots: Roots, root: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [file] = roots.find("src/main.py")
    [deep] = roots.find("src/sub/deep.txt")
    real = os.path.realpath
    # the check still sees what was there before the swap
    seen = {str(path): real(path) for path in (file, deep)}
    file.unlink()
    file.symlink_to(outside)
    (root / "src" / "sub").rename(root / "src" / "sub2")
    (root / "src" / "sub").symlink_to(outside.parent)
    put(outside.parent / "deep.txt", "secret")
    monkeypatch.setattr(os.path, "realpath", lambda path: seen.get(str(path)) or real(path))
    for path in (file, deep):
        with pytest.raises(PermissionDenied, match="replaced"):
            roots.read(path, 100)
        with pytest.raises(PermissionDenied, match="replaced"):
            roots.open(path, "wb")
    assert outside.read_text() == "secret"


def test_one_who_swaps_links_all_the_time_gets_nothing_out(
    roots: Roots, root: Path, outside: Path
) -> None:
    [file] = roots.find("src/sub/deep.txt")
    put(outside.parent / "deep.txt", "secret")
    (root / "link").symlink_to(outside.parent)
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            for taken, put_there in (("src/sub", "away"), ("link", "src/sub")):
                (root / taken).rename(root / put_there)
            for taken, put_there in (("src/sub", "link"), ("away", "src/sub")):
                (root / taken).rename(root / put_there)

    swapper = threading.Thread(target=swap)
    swapper.start()
    read = set()
    try:
        for _ in range(2000):
            with suppress(OllamaMCPError):
                read.add(roots.read(file, 100))
    finally:
        done.set()
        swapper.join()
    assert read == {b"src/sub/deep.txt"}


def test_a_file_that_went_away(roots: Roots, root: Path) -> None:
    [file] = roots.find("README.md")
    file.unlink()
    with pytest.raises(NotFound, match=r"README\.md is not there any more"):
        roots.read(file, 100)


def test_devices_pipes_and_sockets_are_refused_and_do_not_block(roots: Roots, root: Path) -> None:
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket"))
        for name in ("pipe", "socket"):
            for way in (roots.find, roots.writable):
                with pytest.raises(InvalidArgument, match=f"{name} is no plain file"):
                    way(name)
            # as if it had been put there after the look
            for mode in ("rb", "wb"):
                with pytest.raises(InvalidArgument, match=f"{name} is no plain file"):
                    roots.open(root / name, mode)  # type: ignore[arg-type]
    assert roots.find("*") == sorted(root / n for n in ("README.md", "notes [1].txt", "größe.txt"))


def test_a_large_file_is_refused_by_name(roots: Roots, root: Path) -> None:
    put(root / "big.txt", "x" * (2**20 + 1))
    [file] = roots.find("big.txt")
    with pytest.raises(TooLarge, match=r"big\.txt is larger than the 1 MiB"):
        roots.read(file, 2**20)
    assert len(roots.read(file, 2**20 + 1)) == 2**20 + 1


@pytest.mark.parametrize("given", ["src", "src/", ".", "{root}", "file://{root}/src"])
def test_a_folder_suggests_its_files(roots: Roots, root: Path, given: str) -> None:
    given = given.format(root=root)
    with pytest.raises(InvalidArgument, match="is a folder") as caught:
        roots.find(given)
    pattern = caught.value.hint.rpartition(" ")[2]
    assert roots.find(pattern)
    with pytest.raises(InvalidArgument, match="is a folder"):
        roots.writable(given)


@pytest.mark.parametrize(
    ("given", "near"),
    [
        ("main.py", ["src/main.py"]),
        ("src/mian.py", ["src/main.py"]),
        ("README", ["README.md"]),
        ("root/src/sub/deep.txt", ["src/sub/deep.txt"]),
        ("zzz", None),
    ],
)
def test_a_wrong_name_is_answered_with_near_ones(
    roots: Roots, root: Path, given: str, near: list[str] | None
) -> None:
    with pytest.raises(NotFound, match=f"there is no file {given}") as caught:
        roots.find(given)
    assert caught.value.details.get("nearest", [None])[:1] == (near or [None])
    assert (near[0] if near else str(root)) in caught.value.hint


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("a\0b", "NUL"),
        ("file:///a%00b", "NUL"),
        ("~", "~ is not expanded"),
        ("~/notes.txt", "~ is not expanded"),
        ("C:\\Users\\me\\a.txt", "path of Windows"),
        ("d:/a.txt", "path of Windows"),
        ("https://example.com/a.txt", "is a URL"),
        ("file://other-host/a.txt", "no file of this machine"),
        ("file:a.txt", "no file of this machine"),
        ("x" * 256, "too long"),
        ("ä" * 128, "too long"),
        ("x/" * 2100, "too long"),
        ("a\ud800b", "not valid Unicode"),
    ],
)
@pytest.mark.parametrize("way", ["find", "writable"])
def test_what_is_no_path_is_told_so(roots: Roots, given: str, message: str, way: str) -> None:
    with pytest.raises(InvalidArgument, match=message) as caught:
        getattr(roots, way)(given)
    assert caught.value.hint
    assert len(str(caught.value)) < 400
    assert str(caught.value).isprintable()


def test_names_are_one_printable_line(roots: Roots, root: Path) -> None:
    put(root / "a\n===== b.txt\x1b[31m\u202e", "")
    (root / os.fsdecode(b"caf\xe9.txt")).write_bytes(b"")
    assert names(roots, "a*") == ["a\ufffd===== b.txt\ufffd[31m\ufffd"]
    assert names(roots, "caf*") == ["caf\ufffd.txt"]


@pytest.mark.parametrize("given", ["new.json", "src/new.json", "README.md", "{root}/new.json"])
def test_a_file_to_write_may_be_new_or_there(roots: Roots, root: Path, given: str) -> None:
    path = roots.writable(given.format(root=root))
    with roots.open(path, "wb") as file:
        file.write(b"one\n")
    with roots.open(path, "ab") as file:
        file.write(b"two\n")
    assert path.read_text() == "one\ntwo\n"
    with roots.open(path, "wb") as file:
        file.write(b"3")
    assert path.read_text() == "3"


def test_a_link_to_a_file_that_is_not_there_yet(roots: Roots, root: Path, outside: Path) -> None:
    (root / "latest").symlink_to("src/new.json")
    assert roots.writable("latest") == root / "src" / "new.json"
    (root / "nowhere").symlink_to("nothing/new.json")
    with pytest.raises(NotFound, match="folder of nowhere does not exist"):
        roots.writable("nowhere")


def test_a_file_to_write_needs_its_folder(roots: Roots) -> None:
    for given in ("nothing/new.json", "README.md/new.json"):
        with pytest.raises(NotFound, match="does not exist"):
            roots.writable(given)
    with pytest.raises(InvalidArgument, match="is a folder"):
        roots.writable("new/")


def test_a_file_to_write_goes_where_its_folder_is(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    both = Roots([other, root])
    assert both.writable("src/new.json") == root / "src" / "new.json"
    assert both.writable("new.json") == other / "new.json"


def test_a_root_that_does_not_exist_holds_nothing(tmp_path: Path) -> None:
    roots = Roots([tmp_path / "nothing"])
    for given in ("a.txt", "**/*"):
        with pytest.raises(NotFound):
            roots.find(given)
    with pytest.raises(OllamaMCPError):
        roots.open(tmp_path / "nothing" / "a.txt")
