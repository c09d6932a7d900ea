"""Paths that callers give, and the folders that none of them leaves."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ollama_mcp_server.delegation.inputs.roots import Roots, shown
from ollama_mcp_server.errors import (
    InvalidArgument,
    NotFound,
    OllamaMCPError,
    PermissionDenied,
    TooLarge,
)
from tests.delegation.inputs.folders import names, write

pytestmark = pytest.mark.usefixtures("stocked")


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


def test_several_roots_are_looked_through_in_their_order(
    roots: Roots, root: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    write(other / "README.md", "the other's")
    write(other / "only.txt", "")
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


def test_a_large_file_is_refused_by_name(roots: Roots, root: Path) -> None:
    write(root / "big.txt", "x" * (2**20 + 1))
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
