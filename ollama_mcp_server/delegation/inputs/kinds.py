"""Kinds of picture, known by their first bytes, and what their headers say."""

import re
import struct

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
#: Markers of a JPEG's frame header: C0 to CF, but for tables, extensions and arithmetic.
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


def kind_of(data: bytes) -> str | None:
    """Return the kind of picture that bytes begin as (`PNG`, `TIFF` …), or None."""
    return next((kind for kind, begin in _KINDS.items() if begin.match(data[:1024])), None)


def size_of(kind: str, data: bytes) -> tuple[int, int]:
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
