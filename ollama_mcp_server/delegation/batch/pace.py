"""How many requests at once a daemon takes best: found by trying, from one upwards.

By Little's law the throughput at a level is the level times the work of its items over the time
that they took, waiting included. So items of uneven length do no harm: each counts by its work,
and none needs to fit into a window. In the same way the time that they were worked on tells how
many were, and so whether some only wait in the daemon's queue.
"""

from collections import deque
from dataclasses import dataclass

#: Requests at once, at most.
MOST = 16
#: A level must bring this much more than the one below it.
GAIN = 1.05
#: Where less than this share of the requests is worked on, the others queue, and more are no use;
#: where it is about half, half as many would do as well.
FULL = 0.8
HALF = 0.55
#: A level is left for a higher one after so many items, or one for each that runs at once where
#: that is more, and after so many seconds: a handful of very short ones would mean nothing. To
#: step back it takes some times as many, fewer where half of them queue: a level too high costs
#: nothing at a daemon that queues, one too low costs throughput for the rest of the batch.
ITEMS = 3
SECONDS = 0.2
BACK = 4
SURE = 2
#: Of a level, the newest items count.
REMEMBERED = 64
#: A level that was not worth it is tried again after so many times the items of a look at it,
#: twice as many each time: the first look may have been unlucky, or the daemon busy.
AGAIN = 4


@dataclass(frozen=True)
class Measure:
    """What a level is like: work a second, and the share of its requests that are worked on."""

    rate: float
    share: float = 1.0


class Pace:
    """Rises from 1 by doubling while the throughput gains more than 5 %, and steps back if not."""

    def __init__(self, most: int = MOST) -> None:
        """Begin at one request; never allow more than `most`."""
        self.level = 1
        self._most = most
        #: Work, seconds and seconds worked on of the items at each level, the newest last.
        self._seen: dict[int, deque[tuple[float, float, float]]] = {}
        self._again = AGAIN
        self._visit = 1
        # The first item waits for the model's load; the first ones after a rise find no queue yet.
        self._burst = 1
        self._fresh = 0
        self._seconds = 0.0

    def begin(self) -> int:
        """Note that an item begins; return its mark for `end`."""
        if self._burst:
            self._burst -= 1
            return 0
        return self._visit

    def end(self, mark: int, seconds: float, work: float, worked: float | None = None) -> None:
        """Note that an item is done, and decide the level for those to come.

        Args:
            mark: what `begin` returned for it.
            seconds: the time that it took.
            work: how much it was; in tokens, or any unit that is the same for all items.
            worked: of the seconds, those that the daemon worked on it; all where it is not known.
        """
        if mark != self._visit or work <= 0:
            return
        seen = self._seen.setdefault(self.level, deque(maxlen=REMEMBERED))
        seen.append((work, seconds, seconds if worked is None else worked))
        self._fresh += 1
        self._seconds += seconds
        looks = min(self._fresh / max(ITEMS, self.level), self._seconds / (SECONDS * self.level))
        self._move(following(self.level, self.measures(), self._most, looks, self._again))

    def refuse(self) -> None:
        """Note that the daemon refused an item because it had too many: never as many again."""
        self._most = max(1, self.level // 2)
        self._move(self._most)

    def measures(self) -> dict[int, Measure]:
        """Return what each level is like that was tried."""
        measured = {}
        for level, seen in self._seen.items():
            work, seconds, worked = map(sum, zip(*seen, strict=True))
            measured[level] = Measure(level * work / seconds, worked / seconds)
        return measured

    def _move(self, level: int) -> None:
        if level == self.level:
            return
        if level < self.level:
            self._again *= 2
        self._burst = max(0, level - self.level + 1)
        self.level = level
        self._visit += 1
        self._fresh, self._seconds = 0, 0.0


def following(
    level: int, measures: dict[int, Measure], most: int, looks: float, again: float
) -> int:
    """Return the level to work at: this one, half of it if it is not worth it, or twice.

    Args:
        level: the level now.
        measures: what each level is like that was tried, this one among them.
        most: the highest level allowed.
        looks: how well this one was looked at since it was entered; 1 is just enough.
        again: after so many looks one that was not worth it is tried again.
    """
    here, below, above = measures[level], measures.get(level // 2), measures.get(level * 2)
    if below and here.rate <= GAIN * below.rate:
        return level // 2 if looks >= (SURE if here.share < HALF else BACK) else level
    if level * 2 > most or here.share < FULL:
        return level
    if above is None or above.rate > GAIN * here.rate:
        return level * 2 if looks >= 1 else level
    return level * 2 if looks >= again and above.share >= HALF else level
