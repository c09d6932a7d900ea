"""Pictures made so that a model sees them whole and upright."""

import base64
import sys
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from ollama_mcp_server.delegation.inputs.fitting import MAX_SIDE
from ollama_mcp_server.delegation.inputs.kinds import kind_of
from ollama_mcp_server.delegation.inputs.roots import Roots
from ollama_mcp_server.errors import InvalidArgument
from tests.delegation.inputs.pictures import ORIENTATION, READ, a_picture, encoded, read


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
