"""Pictures for a model: from paths, base64, data: URIs and URLs, checked by what they hold."""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote_to_bytes

from anyio import to_thread

from ...errors import InvalidArgument, OllamaMCPError, PermissionDenied, TooLarge
from .fitting import MAX_PIXELS, damaged, fitted
from .kinds import READ, kind_of, size_of
from .roots import ALLOW, Roots

T = TypeVar("T")
#: Returns what a URL gives, of at most so many bytes.
Fetch = Callable[[str, int], Awaitable[bytes]]

#: Most pictures of a call, most bytes of one as it comes, and of all as they are sent.
MAX_IMAGES = 50
MAX_BYTES = 20 * 2**20
MAX_TOTAL = 64 * 2**20
_BASE64 = re.compile(r"[A-Za-z0-9+/_\-\s]+={0,2}\s*")


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
        width, height = size_of(kind, data)
    except (struct.error, IndexError):
        width = height = 0
    if not (width and height):
        raise damaged(name)
    if width * height > MAX_PIXELS:
        raise TooLarge(
            f"{name} has {width}×{height} pixels; {MAX_PIXELS // 10**6} million are the limit",
            "Scale it down",
        )
    sent, told = fitted(data, kind, name)
    return base64.b64encode(sent).decode(), told


def _too_large(name: str) -> TooLarge:
    return TooLarge(f"{name} is larger than {MAX_BYTES >> 20} MiB", "Scale it down")
