"""The text of PDF files."""

import logging
import time
from io import BytesIO

from ...errors import InvalidArgument, TooLarge
from . import unreadable

#: Most pages of a file.
MAX_PAGES = 2000


def pdf_text(data: bytes, name: str, until: float, most: int) -> str:
    """Return the text of a PDF, page by page; past `most` characters the rest is left out.

    Raises:
        InvalidArgument: it is damaged or encrypted, or its library is not installed.
        TimedOut: it was not read `until` then (monotonic seconds).
        TooLarge: it has more than MAX_PAGES pages.
    """
    try:
        from pypdf import PdfReader
        from pypdf.errors import DependencyError, PyPdfError
    except ImportError:
        raise unreadable.not_installed(name, "PDF") from None
    # it logs each oddity of a file, parts of its content included
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    texts: list[str] = []
    try:
        reader = PdfReader(BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise DependencyError
        if len(reader.pages) > MAX_PAGES:
            raise TooLarge(f"{name} has more than {MAX_PAGES} pages", "Split it")
        size = 0
        for page in reader.pages:
            texts.append(page.extract_text())
            size += len(texts[-1])
            if time.monotonic() > until:
                raise unreadable.late(name)  # nobody waits for this thread any more
            if size > most:
                break
    except DependencyError:
        raise InvalidArgument(
            f"{name} is encrypted", "Save it without a password, or give its text"
        ) from None
    except (PyPdfError, *unreadable.BROKEN) as error:
        raise unreadable.damaged(name, "PDF") from error
    return "\n\n".join(texts)
