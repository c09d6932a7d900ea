"""Globs: the files that they match, and how far they look."""

from pathlib import Path

import pytest

from ollama_mcp_server.delegation.inputs import roots as roots_module
from ollama_mcp_server.delegation.inputs.roots import MAX_MATCHES, Roots
from ollama_mcp_server.errors import NotFound, PermissionDenied, TooLarge
from tests.delegation.inputs.folders import names, write

pytestmark = pytest.mark.usefixtures("stocked")


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
    write(root / "a" / ("a" * 200), "")
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
        write(root / "many" / f"{number}.txt", "")
    with pytest.raises(TooLarge, match=f"more than {MAX_MATCHES} files"):
        roots.find("many/*")
    assert len(roots.find("many/1*.txt")) == 111


def test_a_glob_looks_at_so_many_files_and_no_more(
    roots: Roots, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        write(root / "many" / f"{number}.txt", "")
    monkeypatch.setattr(roots_module, "MAX_ENTRIES", 10)
    with pytest.raises(TooLarge, match="would look at more than 10 files"):
        roots.find("**/*.py")


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
