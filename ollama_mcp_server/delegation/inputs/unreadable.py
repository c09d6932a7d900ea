"""Files that cannot be read as text, and how that is told."""

import zipfile
import zlib

from ...errors import InvalidArgument, TimedOut

#: Seconds that a file may take to be read.
MAX_SECONDS = 60.0
#: What the parsers raise for broken files, beside their own.
BROKEN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
_EXTRA = "pip install 'ollama-mcp-server[documents]', then start the server again"


def late(name: str) -> TimedOut:
    """Return that it took too long."""
    return TimedOut(f"{name} took more than {MAX_SECONDS:g} s to read", "Give its text instead")


def binary(name: str) -> InvalidArgument:
    """Return that it holds no text."""
    return InvalidArgument(
        f"{name} is binary: neither text, nor PDF, nor DOCX", "Convert it, or leave it out"
    )


def damaged(name: str, kind: str) -> InvalidArgument:
    """Return that it is no whole PDF, or DOCX."""
    return InvalidArgument(f"{name} is damaged: it cannot be read as {kind}", "Save it anew")


def not_installed(name: str, kind: str) -> InvalidArgument:
    """Return that the library for a PDF, or a DOCX, is missing."""
    return InvalidArgument(f"{name} is a {kind}, and what reads those is not installed", _EXTRA)
