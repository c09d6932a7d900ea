"""Pictures known by what they hold, and by what their headers promise."""

import struct
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from ollama_mcp_server.delegation.inputs.roots import Roots
from ollama_mcp_server.errors import InvalidArgument, TooLarge
from tests.delegation.inputs.pictures import READ, a_picture, encoded, read


def written_as(kind: str) -> bytes:
    written = BytesIO()
    Image.new("RGB", (32, 32), "red").save(written, kind)
    return written.getvalue()


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("TIFF", written_as("TIFF")),
        ("AVIF", b"\0\0\0\x1cftypavif\0\0\0\0mif1"),
        ("ICO", written_as("ICO")),
        ("JPEG 2000", written_as("JPEG2000")),
        ("HEIC", b"\0\0\0\x18ftypheic\0\0\0\0"),
        ("JPEG XL", b"\0\0\0\x0cJXL \r\n\x87\n"),
        ("PSD", b"8BPS\0\1\0\0\0\0\0\0"),
        ("SVG", b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>'),
    ],
)
async def test_pictures_that_ollama_does_not_read_are_refused_by_kind(
    roots: Roots, put: Any, kind: str, data: bytes
) -> None:
    put("photo.png", data)
    for given in ("photo.png", f"data:image/png;base64,{encoded(data)}"):
        with pytest.raises(InvalidArgument, match=f"is a {kind} picture") as caught:
            await read(roots, given)
        assert "PNG, JPEG, WebP, GIF and BMP" in caught.value.message


async def test_what_is_no_picture_is_sent_to_files(roots: Roots, put: Any) -> None:
    put("notes.txt", b"text")
    put("empty.png", b"")
    for name in ("notes.txt", "empty.png"):
        with pytest.raises(InvalidArgument, match=f"{name} is no picture") as caught:
            await read(roots, name)
        assert "files" in caught.value.hint


@pytest.mark.parametrize("kind", READ)
@pytest.mark.parametrize("length", [14, 20, 26])
async def test_a_picture_cut_within_its_header_is_damaged(
    roots: Roots, put: Any, kind: str, length: int
) -> None:
    put("cut", a_picture(kind)[:length].ljust(20, b"\0")[:length])
    with pytest.raises(InvalidArgument, match=r"cut is (damaged|no picture)"):
        await read(roots, "cut")


def promising(kind: str, width: int, height: int) -> bytes:
    """A picture whose header says that it is this large."""
    data = bytearray(a_picture(kind, (1600, 20)))
    if kind == "PNG":
        data[16:24] = struct.pack(">II", width, height)
    elif kind == "GIF":
        data[6:10] = struct.pack("<HH", width, height)
    elif kind == "BMP":
        data[18:26] = struct.pack("<ii", width, -height)
    elif kind == "JPEG":
        at = data.index(b"\xff\xc0")
        data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    else:
        data[26:30] = struct.pack("<HH", width, height)
    return bytes(data)


@pytest.mark.parametrize("kind", READ)
async def test_a_bomb_is_refused_by_its_header(roots: Roots, put: Any, kind: str) -> None:
    width, height = (16000, 16000)
    put("bomb", promising(kind, width, height))
    with pytest.raises(TooLarge, match="bomb has 16000×16000 pixels; 64 million"):
        await read(roots, "bomb")


async def test_headers_that_contradict_each_other_are_no_way_around(roots: Roots, put: Any) -> None:
    small, large = a_picture("JPEG"), promising("JPEG", 60000, 60000)
    frame = small.index(b"\xff\xc0")
    second = large[large.index(b"\xff\xc0") :]
    put("two", small[: frame + 19] + second)
    with pytest.raises(InvalidArgument, match="two is damaged"):
        await read(roots, "two")
