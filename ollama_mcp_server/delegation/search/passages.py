"""Long text in passages that fit a window, cut where a reader would pause.

Nothing is lost: the passages of a text, put together, are the text, but for white space at the
seams. Tokens are estimated from characters; what a model refuses all the same is cut again.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

#: One token, about. For each real one of a WordPiece vocabulary this counts 1.1 to 1.4 in English
#: prose, code and logs, 1.0 in Chinese, Russian and Arabic, 0.8 in German, and 0.6 in base64.
_TOKEN = re.compile(r"[A-Za-z]{1,4}|\d{1,2}|\n|[^\S\n]{8,32}|[^\sA-Za-z\d]")
#: Of a window, the share that is filled by the estimate, which may be too low.
SHARE = 0.75

#: Ends of parts, from the best place to cut to the last resort.
_PARAGRAPH = re.compile(r"\n(?:[^\S\n]*\n)+|\n(?=#{1,6} )")
_SENTENCE = re.compile(
    r"(?<!\b\w)(?<!\b[DMS][rst])[.!?…][\"'”’»)\]]*\s+(?![a-z])"
    r"|[。！？｡][」』”’）]*\s*|[।॥؟۔።]\s*"
)
_LINE = re.compile(r"\n")
_WORD = re.compile(r"\s+")
_PROSE = (_SENTENCE, _LINE, _WORD, _TOKEN)
_LINES = (_LINE, _SENTENCE, _WORD, _TOKEN)

#: A line after which no passage ends: a heading, or what underlines one.
_HEADING = re.compile(r"#{1,6}\s|[=-]{3,}\s*$")
#: Characters that make text code or a log, where they are more than this share of it; beginnings
#: that make it a list or a table, where more than half of its lines have them.
_MARK = re.compile(r"[^\w\s]|[\d_]")
MARKS = 0.12
_ITEM = re.compile(r"\n[^\S\n]*(?:[|*+-]|\d+[.)])")
#: Characters of a text that are looked at to tell.
_SAMPLE = 4_000


@dataclass(frozen=True)
class Passage:
    """A part of a text.

    Attributes:
        source: what the text is called.
        text: the passage itself.
        start: where it begins, in characters of the source.
        lines: its first and last line, counted from 1.
        tokens: about how many tokens it has.
    """

    source: str
    text: str
    start: int
    lines: tuple[int, int]
    tokens: int

    @property
    def end(self) -> int:
        """Where it ends, in characters of the source."""
        return self.start + len(self.text)


def cut(text: str, size: int, source: str = "") -> list[Passage]:
    """Return the passages of a text, each of about `size` tokens at most.

    Paragraphs that fit together stay together, a Markdown heading with what follows it. A longer
    paragraph is cut at the ends of its sentences, or of its lines if it is code or a log; a longer
    sentence between words, and a longer word between characters. A text of white space has none.
    """
    found = []
    line, seen = 1, 0
    for start, stop in _spans(text, 0, len(text), max(size, 1), (_PARAGRAPH,)):
        body = text[start:stop].lstrip()
        start = stop - len(body)
        body = body.rstrip()
        if body:
            line += text.count("\n", seen, start)
            seen = start
            lines = (line, line + body.count("\n"))
            found.append(Passage(source, body, start, lines, count(body)))
    return found


def cut_again(passage: Passage) -> list[Passage]:
    """Return a passage in parts of half its size, or none if it cannot be cut any more."""
    parts = cut(passage.text, passage.tokens // 2)
    if len(parts) < 2:
        return []
    before = passage.lines[0] - 1
    return [
        replace(
            part,
            source=passage.source,
            start=passage.start + part.start,
            lines=(part.lines[0] + before, part.lines[1] + before),
        )
        for part in parts
    ]


def fitting(window: int) -> int:
    """Return the size, in estimated tokens, of passages for a window of so many tokens."""
    return max(1, int(window * SHARE))


def count(text: str) -> int:
    """Return about how many tokens a text has."""
    return _TOKEN.subn("", text)[1]


Seams = tuple[re.Pattern[str], ...]


def _spans(text: str, start: int, stop: int, size: int, seams: Seams) -> Iterator[tuple[int, int]]:
    """Yield where passages begin and end; neighbours are merged as long as they fit."""
    tokens, seam = 0, start
    for end in _ends(text, start, stop, seams[0]):
        more = count(text[seam:end])
        if tokens and tokens + more > size:
            yield start, seam
            start, tokens = seam, 0
        if more > size:
            *whole, (start, _) = _spans(text, start, end, size, _finer(text[start:end], seams))
            yield from whole
            tokens = count(text[start:end])
        else:
            tokens += more
        seam = end
    yield start, stop


def _ends(text: str, start: int, stop: int, seam: re.Pattern[str]) -> Iterator[int]:
    """Yield where the parts of a span end; the last ends with it."""
    for match in seam.finditer(text, start, stop):
        if match.end() < stop and not (seam is _PARAGRAPH and _is_heading(text, match.start())):
            yield match.end()
    yield stop


def _finer(text: str, seams: Seams) -> Seams:
    """Return the seams at which a part is cut that is too long for those of its own level."""
    if seams != (_PARAGRAPH,):
        return seams[1:]
    sample = text[:_SAMPLE]
    is_code = len(_MARK.findall(sample)) > MARKS * len(sample)
    is_list = 2 * len(_ITEM.findall(sample)) > sample.count("\n")
    return _LINES if is_code or is_list else _PROSE


def _is_heading(text: str, end: int) -> bool:
    """Return whether the line that ends there is a heading."""
    return _HEADING.match(text, text.rfind("\n", 0, end) + 1, end) is not None
