"""Pictures for a model: from paths, base64, data: URIs and URLs, checked by what they hold."""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote_to_bytes

from anyio import to_thread

from ...errors import InvalidArgument, OllamaMCPError, PermissionDenied, TooLarge
from .roots import ALLOW, Roots

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

T = TypeVar("T")
#: Returns what a URL gives, of at most so many bytes.
Fetch = Callable[[str, int], Awaitable[bytes]]

#: Most pictures of a call, most bytes of one as it comes, and of all as they are sent.
MAX_IMAGES = 50
MAX_BYTES = 20 * 2**20
MAX_TOTAL = 64 * 2**20
#: Most pixels that a header may promise, before anything is decoded: 256 MiB of memory.
MAX_PIXELS = 64_000_000
#: Longer side in pixels beyond which common vision models see no more: LLaVA reads 672, Gemma 3
#: 896, Llama 3.2 1120, MiniCPM-V 1344, Pixtral and Mistral Small 1540. Qwen's read more, at a
#: token for each 28 x 28 pixels: a photo of this size costs them 2,200.
MAX_SIDE = 1536

#: The kinds that Ollama reads (tried on 0.34.4), and how they begin.
READ = {
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "JPEG": rb"\xff\xd8\xff",
    "WebP": rb"RIFF.{4}WEBP",
    "GIF": rb"GIF8[79]a",
    "BMP": rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0",
}
#: Kinds that it does not read, to be refused by name.
_UNREAD = {
    "TIFF": rb"II\*\0|MM\0\*",
    "AVIF": rb".{4}ftypavi[fs]",
    "HEIC": rb".{4}ftyp(hei[cfmsx]|hev[cx]|mif1|msf1)",
    "JPEG XL": rb"\xff\x0a|\0\0\0\x0cJXL ",
    "JPEG 2000": rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51",
    "ICO": rb"\0\0\x01\0[^\0]\0",
    "PSD": rb"8BPS\0",
    "SVG": rb"\s*(<\?xml[^>]{0,200}>\s*)?(<!DOCTYPE[^>]{0,200}>\s*)?<svg\s",
}
_KINDS = {kind: re.compile(begin, re.DOTALL) for kind, begin in (READ | _UNREAD).items()}
_BASE64 = re.compile(r"[A-Za-z0-9+/_\-\s]+={0,2}\s*")
#: Markers of a JPEG's frame header: C0 to CF, but for tables, extensions and arithmetic.
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
#: The EXIF tag of how the camera was held; 1 is upright.
_ORIENTATION = 0x0112
_INSTALL = "pip install 'ollama-mcp-server[images]'"


async def read_images(
    given: Sequence[str], roots: Roots, *, allow_urls: bool, fetch: Fetch | None = None
) -> tuple[list[str], list[str]]:
    """Return pictures as Ollama takes them, in base64, and what was done to them, as warnings.

    Args:
        given: paths, globs and `file://` URIs, base64, `data:` URIs, http(s) URLs.
        roots: the folders that may be read.
        allow_urls: whether http(s) URLs are fetched.
        fetch: fetches them; default `fetch.fetch`, from public addresses only.

    Raises:
        InvalidArgument: something is no picture, or one that Ollama does not read.
        NotFound: there is no such file.
        PermissionDenied: a path is outside of `roots`; URLs are not allowed, or it is not public.
        TooLarge: a picture, or all of them, are over the limits.
    """
    images: list[str] = []
    warnings: list[str] = []
    for index, text in enumerate(given):
        label = f"images[{index}]"
        sources: list[tuple[str, bytes | Path]]
        if re.match(r"https?://", text, re.IGNORECASE):
            sources = [(label, await _fetched(text, label, allow_urls, fetch))]
        else:
            sources = await _in_thread(partial(_sources, text, label, roots))
        for name, source in sources:
            image, told = await _in_thread(partial(_prepared, source, name, roots))
            images.append(image)
            warnings += told
            if len(images) > MAX_IMAGES or sum(map(len, images)) > MAX_TOTAL * 4 / 3:
                raise TooLarge(
                    f"a call takes at most {MAX_IMAGES} pictures of {MAX_TOTAL >> 20} MiB in all",
                    "Send fewer at a time",
                )
    return images, warnings


def kind_of(data: bytes) -> str | None:
    """Return the kind of picture that bytes begin as (`PNG`, `TIFF` …), or None."""
    return next((kind for kind, begin in _KINDS.items() if begin.match(data[:1024])), None)


async def _in_thread(work: Callable[[], T]) -> T:
    return await to_thread.run_sync(work, abandon_on_cancel=True)


async def _fetched(url: str, label: str, allow_urls: bool, fetch: Fetch | None) -> bytes:
    if not allow_urls:
        raise PermissionDenied(
            f"{label} is a URL, and none is fetched",
            "Send the picture or its path; to have public URLs fetched, start the server with "
            "--allow-urls",
        )
    if fetch is None:
        from . import fetch as public  # it loads httpx

        fetch = public.fetch
    return await fetch(url, MAX_BYTES)


def _sources(text: str, label: str, roots: Roots) -> list[tuple[str, bytes | Path]]:
    """Return the name of each picture that `text` stands for, with its content or its file."""
    if len(text) > MAX_BYTES * 1.5:
        raise _too_large(label)
    if text[:5].lower() == "data:":
        head, _, content = text.partition(",")
        if not head.lower().endswith(";base64"):
            return [(label, unquote_to_bytes(content))]
        if (data := _decoded(content)) is None:
            raise InvalidArgument(f"{label} is a data: URI whose base64 is damaged", "Send it anew")
        return [(label, data)]
    data = _decoded(text)
    if data and kind_of(data):
        return [(label, data)]
    try:
        return [(roots.name(path), path) for path in roots.find(text)]
    except OllamaMCPError as error:
        # What may be a picture's content is not repeated.
        is_short = len(text) <= 64 and (data is None or isinstance(error, InvalidArgument))
        if is_short or (len(text) <= 1000 and not _BASE64.fullmatch(text)):
            raise
    raise InvalidArgument(
        f"{label} is neither a picture in base64 nor the path of one that may be read",
        f"Send all of its base64; as for paths: {ALLOW[0].lower()}{ALLOW[1:]}",
    )


def _decoded(text: str) -> bytes | None:
    """Return what base64 of either alphabet stands for, padded or not; None if it is none."""
    if not _BASE64.fullmatch(text):
        return None
    plain = "".join(text.split()).rstrip("=").translate({ord("-"): "+", ord("_"): "/"})
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4))
    except binascii.Error:
        return None


def _prepared(source: bytes | Path, name: str, roots: Roots) -> tuple[str, list[str]]:
    """Return a picture in base64, no larger than is useful, and what was done to it."""
    data = source if isinstance(source, bytes) else roots.read(source, MAX_BYTES)
    if len(data) > MAX_BYTES:
        raise _too_large(name)
    kind = kind_of(data)
    if kind not in READ:
        raise InvalidArgument(
            f"{name} is {f'a {kind} picture' if kind else 'no picture'}; "
            "Ollama reads PNG, JPEG, WebP, GIF and BMP",
            "Convert it" if kind else "Give text and documents in files",
        )
    try:
        width, height = _size(kind, data)
    except (struct.error, IndexError):
        width = height = 0
    if not (width and height):
        raise _damaged(name)
    if width * height > MAX_PIXELS:
        raise TooLarge(
            f"{name} has {width}×{height} pixels; {MAX_PIXELS // 10**6} million are the limit",
            "Scale it down",
        )
    fitted, told = _fitted(data, kind, name)
    return base64.b64encode(fitted).decode(), told


def _size(kind: str, data: bytes) -> tuple[int, int]:
    """Return width and height as a header has them; raises struct.error or IndexError."""
    if kind == "PNG":
        width, height = struct.unpack_from(">II", data, 16)
    elif kind == "GIF":
        width, height = struct.unpack_from("<HH", data, 6)
    elif kind == "BMP":
        width, height = struct.unpack_from("<HH" if data[14] == 12 else "<ii", data, 18)
    elif kind == "JPEG":
        at = 2
        while data[at] != 0xFF or data[at + 1] not in _FRAMES:
            is_part = data[at] == 0xFF and data[at + 1] not in (0, 0xFF)
            at += 2 + struct.unpack_from(">H", data, at + 2)[0] if is_part else 1
        height, width = struct.unpack_from(">HH", data, at + 5)
    elif data[12:16] == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    elif data[12:16] == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        low = struct.unpack_from("<HBHB", data, 24)
        width, height = low[0] + (low[1] << 16) + 1, low[2] + (low[3] << 16) + 1
    return abs(width), abs(height)


def _fitted(data: bytes, kind: str, name: str) -> tuple[bytes, list[str]]:
    """Return a picture that a model sees whole and upright: as it is, wherever it can stay so."""
    is_moving_webp = kind == "WebP" and data[12:16] == b"VP8X" and bool(data[20] & 2)
    try:
        from PIL import Image
    except ImportError:
        if is_moving_webp:
            raise InvalidArgument(
                f"{name} is an animated WebP, which Ollama does not read", f"For that: {_INSTALL}"
            ) from None
        width, height = _size(kind, data)
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
                raise _damaged(name)
            fitted, deeds = _redrawn(picture, kind, is_turned=is_turned)
            return fitted, told + [f"{name} was {deed}" for deed in deeds]
    except broken as error:
        raise _damaged(name) from error


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


def _too_large(name: str) -> TooLarge:
    return TooLarge(f"{name} is larger than {MAX_BYTES >> 20} MiB", "Scale it down")


def _damaged(name: str) -> InvalidArgument:
    return InvalidArgument(f"{name} is damaged: it cannot be read as a picture", "Send it anew")
