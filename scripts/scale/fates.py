"""What became of requests, and what that says; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum


class Fate(Enum):
    """What became of a request."""

    #: A whole answer.
    ANSWERED = "answered"
    #: The answer had begun, and ended with an error as its API has it.
    TOLD = "told"
    #: The answer had begun, and its connection broke: every client notices.
    CUT = "cut"
    #: Refused by a limit.
    REFUSED = "refused"
    #: No answer had begun, or one ended as if it were whole: what must not be.
    LOST = "lost"


@dataclass(frozen=True)
class Outcome:
    """One request: how it was made, what became of it, when that was, in seconds."""

    kind: str
    fate: Fate
    at: float
    note: str = ""


@dataclass
class Tally:
    """The outcomes of many requests."""

    outcomes: list[Outcome] = field(default_factory=list)

    def count(self, fate: Fate) -> int:
        """Return how many had this fate."""
        return sum(one.fate is fate for one in self.outcomes)

    def since(self, moment: float) -> Tally:
        """Return those that came to their end after a moment."""
        return Tally([one for one in self.outcomes if one.at >= moment])

    @property
    def answered(self) -> Counter[str]:
        """How many whole answers there were of each kind."""
        return Counter(one.kind for one in self.outcomes if one.fate is Fate.ANSWERED)

    def notes(self, *fates: Fate) -> str:
        """Return what is known of requests with these fates, in short."""
        found = Counter(
            f"{one.kind}: {' '.join(one.note.split())}"
            for one in self.outcomes
            if one.fate in fates
        )
        return "; ".join(f"{count} × {note}"[:300] for note, count in found.most_common(3))


@dataclass(frozen=True)
class Verdict:
    """What was to be shown, whether it was, and the figures."""

    what: str
    passed: bool
    told: str

    @property
    def line(self) -> str:
        """The verdict as it is printed."""
        return f"{'ok  ' if self.passed else 'FAIL'} {self.what}: {self.told}"


def survived(
    what: str, tally: Tally, moment: float, kinds: Iterable[str], *, cuts: bool, more: str = ""
) -> Verdict:
    """Judge a load during which something died.

    Args:
        what: was to be shown.
        tally: of the load.
        moment: at which it died.
        kinds: of requests, of which each must have been answered afterwards.
        cuts: whether a connection that breaks in mid-answer is all right.
        more: to be told.
    """
    lost, cut, told = (tally.count(fate) for fate in (Fate.LOST, Fate.CUT, Fate.TOLD))
    silent = [kind for kind in kinds if not tally.since(moment).answered[kind]]
    said = [
        f"{tally.count(Fate.ANSWERED)} answered, {lost} lost",
        *([f"{told} ended by an error in mid-answer"] if told else []),
        *([f"{cut} cut in mid-answer"] if cut else []),
        *([more] if more else []),
        *([f"no {', '.join(silent)} answered afterwards"] if silent else []),
    ]
    if noted := tally.notes(Fate.LOST, *([] if cuts else [Fate.CUT])):
        said.append(noted)
    return Verdict(what, not lost and not silent and (cuts or not cut), "; ".join(said))


def limited(what: str, tally: Tally, least: int, most: int) -> Verdict:
    """Judge how many requests of a key came through: so many, and the others refused by a limit."""
    passed, lost = tally.count(Fate.ANSWERED), len(tally.outcomes) - tally.count(Fate.REFUSED)
    lost -= passed
    told = f"{passed} of {len(tally.outcomes)} passed, {least} to {most} may"
    if lost:
        told += f"; {lost} failed: {tally.notes(Fate.LOST, Fate.CUT, Fate.TOLD)}"
    return Verdict(what, least <= passed <= most and not lost, told)


def each_once(what: str, found: Iterable[int], number: int, more: str) -> Verdict:
    """Judge the items in a file of results: each exactly once."""
    counted = Counter(found)
    missing = [index for index in range(number) if not counted[index]]
    double = [index for index, count in counted.items() if count > 1]
    strange = [index for index in counted if not 0 <= index < number]
    said = f"{len(counted)} of {number} items, {len(missing)} missing, {len(double)} double; {more}"
    return Verdict(what, not (missing or double or strange), said)
