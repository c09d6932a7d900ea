"""Pictures as callers give them, and as they go to Ollama."""

import base64
import struct
import sys
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ollama_mcp_server.delegation.inputs import images as images_module
from ollama_mcp_server.delegation.inputs.images import (
    MAX_BYTES,
    MAX_IMAGES,
    MAX_SIDE,
    kind_of,
    read_images,
)
from ollama_mcp_server.delegation.inputs.roots import Roots
from ollama_mcp_server.errors import InvalidArgument, NotFound, PermissionDenied, TooLarge

#: How Pillow names the kinds that Ollama reads.
READ = ["PNG", "JPEG", "WEBP", "GIF", "BMP"]
ORIENTATION = 0x0112


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    return Roots([tmp_path])


@pytest.fixture
def put(tmp_path: Path) -> Callable[[str, bytes], None]:
    def write(name: str, content: bytes) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    return write


def a_picture(
    kind: str = "PNG",
    size: tuple[int, int] = (12, 8),
    mode: str = "RGB",
    turned: int | None = None,
    **options: Any,
) -> bytes:
    """A picture whose left half is red and whose right half is blue."""
    picture = Image.new("RGB", size, "red")
    picture.paste("blue", (size[0] // 2, 0, size[0], size[1]))
    if turned:
        options["exif"] = Image.Exif()
        options["exif"][ORIENTATION] = turned
    written = BytesIO()
    picture.convert(mode).save(written, kind, **options)
    return written.getvalue()


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def opened(text: str) -> Image.Image:
    picture = Image.open(BytesIO(base64.b64decode(text, validate=True)))
    picture.load()
    return picture


def is_red_and_blue(picture: Image.Image, red: tuple[int, int], blue: tuple[int, int]) -> bool:
    """Whether the pixels at the two places have these colours, as well as JPEG keeps them."""
    colours = [picture.convert("RGB").getpixel(place) for place in (red, blue)]
    return all(
        isinstance(colour, tuple) and colour[at] > 200 and colour[2 - at] < 60
        for colour, at in zip(colours, (0, 2), strict=True)
    )


async def read(roots: Roots, *given: str, **more: Any) -> tuple[list[str], list[str]]:
    return await read_images(given, roots, allow_urls=False, **more)


@pytest.mark.parametrize("kind", READ)
async def test_a_picture_within_the_size_goes_as_it_is_however_given(
    roots: Roots, put: Any, tmp_path: Path, kind: str
) -> None:
    data = a_picture(kind)
    put("sub/photo.jpg", data)  # known by its content, not by its name
    text = encoded(data)
    lines = "\n".join(text[at : at + 76] for at in range(0, len(text), 76))
    given = [
        "sub/photo.jpg",
        str(tmp_path / "sub" / "photo.jpg"),
        f"file://{tmp_path}/sub/photo.jpg",
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


@pytest.mark.parametrize("kind", READ)
@pytest.mark.parametrize("size", [(3072, 1000), (1000, 3072)])
async def test_a_larger_picture_is_scaled_and_that_is_told(
    roots: Roots, put: Any, kind: str, size: tuple[int, int]
) -> None:
    put("photo.jpg", a_picture(kind, size))
    [text], warnings = await read(roots, "photo.jpg")
    small = opened(text)
    assert small.size == (size[0] // 2, size[1] // 2)
    assert kind_of(base64.b64decode(text)) == ("JPEG" if kind == "JPEG" else "PNG")
    assert is_red_and_blue(small, (5, 5), (small.width - 5, 5))
    assert warnings == [
        f"photo.jpg was scaled from {size[0]}×{size[1]} to {small.width}×{small.height}"
    ]


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("PNG", "P"),
        ("PNG", "RGBA"),
        ("PNG", "1"),
        ("PNG", "L"),
        ("JPEG", "CMYK"),
        ("JPEG", "L"),
        ("BMP", "P"),
        ("WEBP", "RGBA"),
    ],
)
async def test_pictures_of_every_mode_are_scaled(
    roots: Roots, put: Any, kind: str, mode: str
) -> None:
    put("a", a_picture(kind, (MAX_SIDE * 2, 20), mode))
    [text], _ = await read(roots, "a")
    small = opened(text)
    assert small.size == (MAX_SIDE, 10)
    assert small.mode in ("RGB", "RGBA")
    if mode not in ("1", "L"):
        assert is_red_and_blue(small, (5, 5), (MAX_SIDE - 5, 5))


async def test_grey_of_16_bits_keeps_its_shades(roots: Roots, put: Any) -> None:
    written = BytesIO()
    Image.new("I;16", (MAX_SIDE * 2, 20), 0x8000).save(written, "PNG")
    put("a.png", written.getvalue())
    [text], _ = await read(roots, "a.png")
    assert opened(text).convert("L").getpixel((5, 5)) == 0x80


async def test_transparency_is_kept(roots: Roots, put: Any) -> None:
    written = BytesIO()
    Image.new("RGBA", (MAX_SIDE * 2, 20), (255, 0, 0, 128)).save(written, "PNG")
    put("a.png", written.getvalue())
    [text], _ = await read(roots, "a.png")
    assert opened(text).getpixel((5, 5)) == (255, 0, 0, 128)


async def test_a_very_flat_picture_keeps_a_pixel_of_height(roots: Roots, put: Any) -> None:
    put("a.png", a_picture(size=(10_000, 1)))
    [text], warnings = await read(roots, "a.png")
    assert opened(text).size == (MAX_SIDE, 1)
    assert warnings == [f"a.png was scaled from 10000×1 to {MAX_SIDE}×1"]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("turned", [3, 6, 8])
async def test_what_the_camera_saw_is_turned_upright(
    roots: Roots, put: Any, kind: str, turned: int
) -> None:
    put("photo", a_picture(kind, (600, 400), turned=turned))
    [text], warnings = await read(roots, "photo")
    upright = opened(text)
    assert upright.size == ((600, 400) if turned == 3 else (400, 600))
    middle, far = (200, 590), (upright.width - 5, 5)
    red, blue = {3: (far, (5, 5)), 6: ((200, 5), middle), 8: (middle, (200, 5))}[turned]
    assert is_red_and_blue(upright, red, blue)
    assert upright.getexif().get(ORIENTATION, 1) == 1
    assert warnings == ["photo was turned upright"]


async def test_a_large_photo_is_scaled_and_turned(roots: Roots, put: Any) -> None:
    put("photo.jpg", a_picture("JPEG", (3072, 1000), turned=6))
    [text], warnings = await read(roots, "photo.jpg")
    assert opened(text).size == (500, 1536)
    assert warnings == [
        "photo.jpg was scaled from 3072×1000 to 1536×500",
        "photo.jpg was turned upright",
    ]


async def test_an_upright_photo_with_exif_is_left_alone(roots: Roots, put: Any) -> None:
    data = a_picture("JPEG", turned=1)
    put("photo.jpg", data)
    assert await read(roots, "photo.jpg") == ([encoded(data)], [])


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
async def test_of_what_moves_the_first_picture_is_seen_and_that_is_told(
    roots: Roots, put: Any, kind: str
) -> None:
    frames = [Image.new("RGB", (12, 8), colour) for colour in ("red", "blue")]
    data = a_picture(kind, save_all=True, append_images=frames)
    put("moving", data)
    [text], warnings = await read(roots, "moving")
    assert "moving is animated, and only its first picture is seen" in warnings
    assert is_red_and_blue(opened(text), (1, 1), (11, 1))
    if kind == "WEBP":  # which the daemon cannot read while it moves
        assert kind_of(base64.b64decode(text)) == "PNG"
    else:
        assert text == encoded(data)


@pytest.fixture
def without_pillow(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    return lambda: monkeypatch.setitem(sys.modules, "PIL", None)


@pytest.mark.parametrize("kind", READ)
async def test_without_pillow_a_large_picture_goes_in_full_and_the_extra_is_named(
    roots: Roots, put: Any, without_pillow: Callable[[], None], kind: str
) -> None:
    large, small = a_picture(kind, (2000, 1001)), a_picture(kind)
    put("large", large)
    put("small", small)
    without_pillow()
    found, [warning] = await read(roots, "large", "small")
    assert found == [encoded(large), encoded(small)]
    assert warning.startswith("large was sent in full, 2000×1001")
    assert "pip install 'ollama-mcp-server[images]'" in warning


@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"exact": True, "mode": "RGBA"}])
async def test_the_size_of_each_kind_of_webp_is_read(
    roots: Roots, put: Any, without_pillow: Callable[[], None], options: dict[str, Any]
) -> None:
    put("a.webp", a_picture("WEBP", (2001, 1003), **options))
    without_pillow()
    _, [warning] = await read(roots, "a.webp")
    assert "2001×1003" in warning


async def test_without_pillow_a_moving_webp_is_refused(
    roots: Roots, put: Any, without_pillow: Callable[[], None]
) -> None:
    frames = [Image.new("RGB", (12, 8), "blue")]
    put("a.webp", a_picture("WEBP", save_all=True, append_images=frames))
    without_pillow()
    with pytest.raises(InvalidArgument, match=r"a\.webp is an animated WebP") as caught:
        await read(roots, "a.webp")
    assert "pip install 'ollama-mcp-server[images]'" in caught.value.hint


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
