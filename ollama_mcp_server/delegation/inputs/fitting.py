"""Pictures made so that a model sees them whole and upright."""

from __future__ import annotations

import struct
from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING

from ...errors import InvalidArgument
from .kinds import size_of

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

#: Most pixels that a header may promise, before anything is decoded: 256 MiB of memory.
MAX_PIXELS = 64_000_000
#: Longer side in pixels beyond which common vision models see no more: LLaVA reads 672, Gemma 3
#: 896, Llama 3.2 1120, MiniCPM-V 1344, Pixtral and Mistral Small 1540. Qwen's read more, at a
#: token for each 28 x 28 pixels: a photo of this size costs them 2,200.
MAX_SIDE = 1536
#: The EXIF tag of how the camera was held; 1 is upright.
_ORIENTATION = 0x0112
_INSTALL = "pip install 'ollama-mcp-server[images]'"


def fitted(data: bytes, kind: str, name: str) -> tuple[bytes, list[str]]:
    """Return a picture that a model sees whole and upright, and what was done to it.

    It stays as it is wherever it can.

    Raises:
        InvalidArgument: it is damaged, or moves, and Pillow is not installed to take it apart.
    """
    is_moving_webp = kind == "WebP" and data[12:16] == b"VP8X" and bool(data[20] & 2)
    try:
        from PIL import Image
    except ImportError:
        if is_moving_webp:
            raise InvalidArgument(
                f"{name} is an animated WebP, which Ollama does not read", f"For that: {_INSTALL}"
            ) from None
        width, height = size_of(kind, data)
        if max(width, height) <= MAX_SIDE:
            return data, []
        return data, [f"{name} was sent in full, {width}×{height}; to have it scaled: {_INSTALL}"]
    broken = (
        OSError,
        SyntaxError,
        ValueError,
        TypeError,
        LookupError,
        EOFError,
        struct.error,
        Image.DecompressionBombError,
        Warning,  # where those are errors
    )
    try:
        with Image.open(BytesIO(data), formats=[kind.upper()]) as picture:
            is_turned = False
            with suppress(*broken):
                is_turned = picture.getexif().get(_ORIENTATION, 1) in range(2, 9)
            is_moving = kind != "JPEG" and getattr(picture, "is_animated", False)
            told = [f"{name} is animated, and only its first picture is seen"] * is_moving
            if max(picture.size) <= MAX_SIDE and not is_turned and not is_moving_webp:
                return data, told
            if picture.width * picture.height > MAX_PIXELS:  # another header said otherwise
                raise damaged(name)
            drawn, deeds = _redrawn(picture, kind, is_turned=is_turned)
            return drawn, told + [f"{name} was {deed}" for deed in deeds]
    except broken as error:
        raise damaged(name) from error


def _redrawn(picture: Picture, kind: str, *, is_turned: bool) -> tuple[bytes, list[str]]:
    from PIL import Image, ImageOps

    width, height = picture.size
    if kind == "JPEG":  # which can be decoded at a fraction of its size
        picture.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
        small = picture.convert("RGB")
    else:
        if picture.mode.startswith("I"):  # 16 bits of grey, which `convert` would clip
            picture = picture.point(lambda level: level / 256).convert("L")
        small = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
        small.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    deeds = []
    if small.size != (width, height):
        deeds.append(f"scaled from {width}×{height} to {small.width}×{small.height}")
    if is_turned:
        small = ImageOps.exif_transpose(small)
        deeds.append("turned upright")
    written = BytesIO()
    if kind == "JPEG":
        small.save(written, "JPEG", quality=92)
    else:
        small.save(written, "PNG", compress_level=1)  # it goes no further than to Ollama
    return written.getvalue(), deeds


def damaged(name: str) -> InvalidArgument:
    """Return that it is no whole picture."""
    return InvalidArgument(f"{name} is damaged: it cannot be read as a picture", "Send it anew")
