"""What a batch has come to so far: counted, in order, and in its file if it has one."""

import json
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ...errors import OllamaMCPError
from ..answer import Answer
from .journal import Journal, Line, digest
from .template import Item, Template

#: Of results that are in a file, those of the first items are kept here too.
FIRST = 3
#: How fast it goes is told by the newest results.
NEWEST = 32


class Ledger:
    """The results of one batch, each by its model and the index of its item."""

    def __init__(
        self,
        items: Sequence[Item],
        models: Sequence[str],
        journal: Journal | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Go on from what the journal has, where there is one."""
        self._clock = clock
        self.items = items
        self.models = models
        self.total = len(items) * len(models)
        self.done = self.earlier = 0
        self.prompt_tokens = self.completion_tokens = 0
        #: What readers must know of answers, and of how many.
        self.remarks: Counter[str] = Counter()
        self._journal = journal
        self._done: set[tuple[str, int]] = set()
        self._lines: dict[tuple[str, int], Line] = {}
        self._failures: dict[tuple[str, int], Line] = {}
        #: When the newest came, in seconds, and the tokens written until then.
        self._newest: deque[tuple[float, int]] = deque(maxlen=NEWEST)
        for line in journal.done if journal else ():
            self._keep(line)
            self.earlier += 1

    @property
    def failed(self) -> int:
        """How many failed."""
        return len(self._failures)

    @property
    def codes(self) -> Counter[str]:
        """The codes of the failures."""
        return Counter(str(line["error"]["code"]) for line in self._failures.values())

    def prompts(self, model: str, template: Template) -> Iterator[tuple[int, str]]:
        """Yield the index and the prompt of each item that the model has not answered yet."""
        for index, item in enumerate(self.items):
            if (model, index) not in self._done:
                yield index, template.fill(item)

    def take(
        self, model: str, index: int, result: Answer | OllamaMCPError, remarks: Sequence[str] = ()
    ) -> None:
        """Take in a result, and write it to the file.

        Args:
            model: who answered.
            index: the item's.
            result: its answer, or what went wrong.
            remarks: what a reader of the answer must know.

        Raises:
            ToolFailed: the file cannot be written.
        """
        item = self.items[index]
        line: Line = {"index": index, **item.told, "model": model}
        if isinstance(result, Answer):
            line |= _said(result)
            if remarks:
                line["warnings"] = list(remarks)
                self.remarks.update(remarks)
            self.prompt_tokens += line["usage"]["prompt_tokens"]
            self.completion_tokens += line["usage"]["completion_tokens"]
        else:
            error = result.as_dict()
            line["error"] = {name: error[name] for name in ("code", "message", "hint")}
        if self._journal:
            line["digest"] = digest(item.fields)
        if "error" in line:
            self._failures[model, index] = line
        else:
            if self._journal:
                self._journal.write(line)
            self._keep(line)
        self._newest.append((self._clock(), self.completion_tokens))

    def _keep(self, line: Line) -> None:
        self.done += 1
        self._done.add((line["model"], line["index"]))
        if self._journal is None or line["index"] < FIRST:
            self._lines[line["model"], line["index"]] = line

    def close(self) -> None:
        """Write the failures to the file, behind all else."""
        if self._journal:
            for line in self._ordered(self._failures):
                self._journal.write(line)

    def lines(self) -> list[Line]:
        """Return the results, by model and item; where they are in a file, the first of them."""
        failures = {
            key: line
            for key, line in self._failures.items()
            if self._journal is None or key[1] < FIRST
        }
        return self._ordered(self._lines | failures)

    def _ordered(self, lines: dict[tuple[str, int], Line]) -> list[Line]:
        places = {model: place for place, model in enumerate(self.models)}
        return [lines[key] for key in sorted(lines, key=lambda key: (places[key[0]], key[1]))]

    @property
    def message(self) -> str:
        """How far it is: "12 of 200, 1 failed, 85 tokens/s, about 40 s left"."""
        ended = self.done + self.failed
        parts = [f"{ended} of {self.total}", *([f"{self.failed} failed"] * bool(self.failed))]
        if len(self._newest) > 1 and (took := self._newest[-1][0] - self._newest[0][0]) > 0:
            tokens = self._newest[-1][1] - self._newest[0][1]
            parts.append(f"{tokens / took:.0f} tokens/s")
            if left := self.total - ended:
                parts.append(f"about {span(took / (len(self._newest) - 1) * left)} left")
        return ", ".join(parts)


def _said(answer: Answer) -> Line:
    """Return what a line of the file has of an answer."""
    data = answer.data is not None
    line: dict[str, Any] = {"data": answer.data} if data else {"content": answer.content}
    if answer.thinking:
        line["thinking"] = answer.thinking
    if answer.done_reason != "stop":
        line["done_reason"] = answer.done_reason
    line["usage"] = {
        "prompt_tokens": answer.final.get("prompt_eval_count") or 0,
        "completion_tokens": answer.final.get("eval_count") or 0,
    }
    return line


def fitting(results: Sequence[Line], characters: int) -> tuple[list[Line], bool]:
    """Return as many results as fit in so many characters of JSON, and whether that is all.

    If not even the first fits, its content is cut at its end.
    """
    left = characters
    for count, line in enumerate(results):
        left -= len(json.dumps(line, ensure_ascii=False))
        if left < 0:
            content = str(line.get("content") or "")[:characters]
            cut = [{**line, "content": content + "…"}] if content and not count else []
            return cut or list(results[:count]), False
    return list(results), True


def span(seconds: float) -> str:
    """Return a time in words: 40 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{max(1, seconds):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
