"""Pictures as others write them, and as they are read."""

import base64
from io import BytesIO
from typing import Any

from PIL import Image

from ollama_mcp_server.delegation.inputs.images import read_images
from ollama_mcp_server.delegation.inputs.roots import Roots

#: How Pillow names the kinds that Ollama reads.
READ = ["PNG", "JPEG", "WEBP", "GIF", "BMP"]
ORIENTATION = 0x0112


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


async def read(roots: Roots, *given: str, **more: Any) -> tuple[list[str], list[str]]:
    return await read_images(given, roots, allow_urls=False, **more)
