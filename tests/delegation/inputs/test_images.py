"""Pictures as callers give them, and as they go to Ollama."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ollama_mcp_server.delegation.inputs import images as images_module
from ollama_mcp_server.delegation.inputs.images import MAX_BYTES, MAX_IMAGES, read_images
from ollama_mcp_server.delegation.inputs.roots import Roots
from ollama_mcp_server.errors import InvalidArgument, NotFound, PermissionDenied, TooLarge
from tests.delegation.inputs.pictures import READ, a_picture, encoded, read


@pytest.mark.parametrize("kind", READ)
async def test_a_picture_within_the_size_goes_as_it_is_however_given(
    roots: Roots, put: Any, root: Path, kind: str
) -> None:
    data = a_picture(kind)
    put("sub/photo.jpg", data)  # known by its content, not by its name
    text = encoded(data)
    lines = "\n".join(text[at : at + 76] for at in range(0, len(text), 76))
    given = [
        "sub/photo.jpg",
        str(root / "sub" / "photo.jpg"),
        f"file://{root}/sub/photo.jpg",
        "**/*.jpg",
        text,
        lines,
        text.rstrip("="),
        text.replace("+", "-").replace("/", "_"),
        f"data:image/png;base64,{text}",
        f"DATA:;name=x;BASE64,{lines}",
        "data:image/png," + "".join(f"%{byte:02x}" for byte in data),
    ]
    assert await read(roots, *given) == ([text] * len(given), [])


async def test_the_order_is_kept_and_a_glob_is_sorted(roots: Roots, put: Any) -> None:
    one, two, three = (a_picture(size=(8, side)) for side in (1, 2, 3))
    put("b.png", two)
    put("a.png", one)
    found, _ = await read(roots, encoded(three), "*.png")
    assert found == [encoded(three), encoded(one), encoded(two)]
    assert await read(roots) == ([], [])


async def test_bounds(roots: Roots, put: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    put("big.png", a_picture() + bytes(MAX_BYTES))
    for given in ("big.png", encoded(a_picture() + bytes(MAX_BYTES))):
        with pytest.raises(TooLarge, match=r"(big\.png|images\[0\]) is larger than"):
            await read(roots, given)
    with pytest.raises(TooLarge, match=r"images\[0\] is larger than 20 MiB"):
        await read(roots, "A" * (MAX_BYTES * 2))
    with pytest.raises(TooLarge, match=f"at most {MAX_IMAGES} pictures"):
        await read(roots, *[encoded(a_picture())] * (MAX_IMAGES + 1))
    monkeypatch.setattr(images_module, "MAX_TOTAL", 10)
    with pytest.raises(TooLarge, match="in all"):
        await read(roots, encoded(a_picture()))


#: Contents that must not come back in an error.
PNG = encoded(a_picture(size=(40, 40)))
SECRETS = [
    "aGVsbG8gd29ybGQ=",
    "c2VjcmV0c2VjcmV0c2VjcmV0",
    PNG[8:],
    PNG[1:],
    PNG[:-5] + "!!!" * 400,
    f"data:image/png;base64,{PNG[:-5]}!",
    f"data:image/png;base64,{encoded(b'secret text, and no picture')}",
    "QUJD" * 10_000,
]


@pytest.mark.parametrize("given", SECRETS)
@pytest.mark.parametrize("allowed", [True, False])
async def test_errors_do_not_repeat_content(tmp_path: Path, given: str, allowed: bool) -> None:
    roots = Roots([tmp_path] if allowed else [])
    with pytest.raises(InvalidArgument, match=r"^Error: images\[1\] is ") as caught:
        await read(roots, encoded(a_picture()), given)
    for start in range(0, min(len(given), 200) - 12, 6):
        piece = given[start : start + 12]
        assert piece in "data:image/png;base64," or piece not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_a_wrong_path_is_told_as_any_other(roots: Roots, put: Any) -> None:
    put("photos/cat.png", a_picture())
    with pytest.raises(NotFound) as caught:
        await read(roots, "cat.png")
    assert "Did you mean photos/cat.png?" in caught.value.hint
    with pytest.raises(InvalidArgument, match="photos is a folder") as folder:
        await read(roots, "photos")
    assert "photos/**/*" in folder.value.hint
    with pytest.raises(PermissionDenied, match="outside"):
        await read(roots, "../cat.png")
    with pytest.raises(PermissionDenied, match="no folder is allowed"):
        await read(Roots([]), "cat.png")


async def test_a_url_is_fetched_only_where_that_is_allowed(roots: Roots) -> None:
    async def fetch(url: str, limit: int) -> bytes:
        fetched.append((url, limit))
        return a_picture()

    fetched: list[tuple[str, int]] = []
    given = ["https://example.com/a.png", "HTTP://example.com/b.png"]
    with pytest.raises(PermissionDenied, match=r"images\[0\] is a URL") as caught:
        await read_images(given, roots, allow_urls=False, fetch=fetch)
    assert "--allow-urls" in caught.value.hint
    assert not fetched
    expected = [encoded(a_picture())] * 2
    assert await read_images(given, roots, allow_urls=True, fetch=fetch) == (expected, [])
    assert fetched == [(url, MAX_BYTES) for url in given]


@pytest.mark.parametrize(
    "given", [["http://127.0.0.1:1/a.png"], ["http://localhost/"], ["http://[::1]/a.png"]]
)
async def test_this_machine_is_not_fetched_from(roots: Roots, given: Sequence[str]) -> None:
    with pytest.raises(PermissionDenied, match="no address on the public internet"):
        await read_images(given, roots, allow_urls=True)
