"""Text of any encoding, from its bytes."""

import codecs
import re

from ...errors import InvalidArgument
from . import unreadable
from .kinds import kind_of

#: Encodings without a mark, the likelier first: among those that explain a text equally well,
#: the first is taken.
_CHARSETS = (
    *("cp1252", "cp1250", "euc_jp", "cp932", "gb18030", "big5", "cp949", "cp1251", "koi8_r"),
    *("cp1253", "cp1254", "cp1255", "cp1256", "cp874", "iso8859_2", "mac_roman", "cp850"),
)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16's, which it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
#: Beginnings of binaries that may hold no NUL; all others do.
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf", b"Rar!")
_CONTROL = re.compile("[\0-\x08\x0b\x0e-\x1a]")  # in no text of 16 or 32 bits


def decode(data: bytes, name: str) -> str:
    """Return what bytes say as text: by their mark, as UTF-8, or in the likeliest encoding.

    Raises:
        InvalidArgument: they are a picture, or another binary.
    """
    if (kind := kind_of(data)) and kind != "SVG":  # which is text
        raise InvalidArgument(f"{name} is a picture ({kind})", "Send pictures in images")
    if data.startswith(_PACKED):
        raise unreadable.binary(name)
    charsets = [charset for mark, charset in _MARKS if data.startswith(mark)][:1] or ["utf-8"]
    if 0 in data and charsets == ["utf-8"]:
        # UTF-16 without its mark: every second byte of a text in the West is 0
        charsets = [
            charset
            for charset, high in (("utf-16-le", data[1::2]), ("utf-16-be", data[::2]))
            if high.count(0) > len(data) * 0.4
        ]
    for charset in charsets:
        try:
            text = data.decode(charset)
        except UnicodeDecodeError:
            continue
        if not (0 in data and _CONTROL.search(text)):
            return text
    if 0 in data:
        raise unreadable.binary(name)
    return _guess(data, name)


def _guess(data: bytes, name: str) -> str:
    from charset_normalizer import from_bytes

    order = {charset: at for at, charset in enumerate(_CHARSETS)}
    found = min(
        from_bytes(data, cp_isolation=list(_CHARSETS)),
        key=lambda match: (match.chaos, -match.coherence, order.get(match.encoding, len(order))),
        default=None,
    )
    if found is None:
        raise unreadable.binary(name)
    return str(found)
