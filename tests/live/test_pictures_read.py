"""Pictures as `read_images` gives them, before the eyes of a real model."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ollama_mcp_server.delegation.inputs.images import read_images
from ollama_mcp_server.delegation.inputs.roots import Roots
from ollama_mcp_server.errors import InvalidArgument
from scripts.testbed import models
from tests.conftest import Caller, text
from tests.live.sessions import SHORT, in_memory

pytestmark = pytest.mark.live

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "yellow": (255, 255, 0)}


@pytest.fixture
async def caller(ollama_host: str) -> AsyncIterator[Caller]:
    async with in_memory(ollama_host) as caller:
        yield caller


def a_picture(
    colour: str, kind: str, size: tuple[int, int] = (64, 64), mode: str = "RGB", **options: Any
) -> bytes:
    written = BytesIO()
    Image.new("RGB", size, COLOURS[colour]).convert(mode).save(written, kind, **options)
    return written.getvalue()


async def seen(caller: Caller, *images: str) -> str:
    """What the model says that pictures look like."""
    result = await caller.call(
        "ollama_generate",
        model=models.VISION,
        prompt="Which colour is it?",
        images=list(images),
        options=SHORT,
    )
    assert not result.is_error, result
    return text(result).lower()


READ = {
    "png": ("PNG", {}),
    "png with a palette": ("PNG", {"mode": "P"}),
    "png with transparency": ("PNG", {"mode": "RGBA"}),
    "jpeg": ("JPEG", {}),
    "progressive jpeg": ("JPEG", {"progressive": True}),
    "cmyk jpeg": ("JPEG", {"mode": "CMYK"}),
    "webp": ("WEBP", {}),
    "lossless webp": ("WEBP", {"lossless": True}),
    "webp with transparency": ("WEBP", {"mode": "RGBA"}),
    "webp with exif": ("WEBP", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0"}),
    "gif": ("GIF", {}),
    "bmp": ("BMP", {}),
}


@pytest.mark.parametrize("case", READ)
async def test_every_kind_that_is_let_through_is_seen(
    caller: Caller, tmp_path: Path, case: str
) -> None:
    kind, options = READ[case]
    data = a_picture("red", kind, **options)
    (tmp_path / "picture").write_bytes(data)
    images, warnings = await read_images(["picture"], Roots([tmp_path]), allow_urls=False)
    assert images == [base64.b64encode(data).decode()]
    assert warnings == []
    assert "red" in await seen(caller, *images)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
async def test_a_picture_that_was_scaled_is_seen(caller: Caller, tmp_path: Path, kind: str) -> None:
    (tmp_path / "picture").write_bytes(a_picture("blue", kind, (3000, 2000)))
    images, [warning] = await read_images(["picture"], Roots([tmp_path]), allow_urls=False)
    assert warning == "picture was scaled from 3000×2000 to 1536×1024"
    assert "blue" in await seen(caller, *images)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
async def test_of_what_moves_the_first_picture_is_seen(
    caller: Caller, tmp_path: Path, kind: str
) -> None:
    frames = [Image.new("RGB", (64, 64), COLOURS["blue"])]
    data = a_picture("yellow", kind, save_all=True, append_images=frames)
    (tmp_path / "moving").write_bytes(data)
    images, _ = await read_images(["moving"], Roots([tmp_path]), allow_urls=False)
    assert "yellow" in await seen(caller, *images)


async def test_pictures_are_seen_in_their_order(caller: Caller, tmp_path: Path) -> None:
    for name, colour in (("a.png", "red"), ("b.png", "blue")):
        (tmp_path / name).write_bytes(a_picture(colour, "PNG"))
    images, _ = await read_images(["*.png"], Roots([tmp_path]), allow_urls=False)
    said = await seen(caller, *images)
    assert 0 <= said.index("red") < said.index("blue")


@pytest.mark.parametrize("kind", ["TIFF", "ICO", "AVIF", "JPEG2000"])
async def test_what_is_refused_the_daemon_cannot_read(
    caller: Caller, tmp_path: Path, kind: str
) -> None:
    data = base64.b64encode(a_picture("red", kind)).decode()
    with pytest.raises(InvalidArgument, match="Ollama reads PNG, JPEG, WebP, GIF and BMP"):
        await read_images([data], Roots([]), allow_urls=False)
    result = await caller.call(
        "ollama_generate", model=models.VISION, prompt="What?", images=[data], options=SHORT
    )
    assert result.is_error
