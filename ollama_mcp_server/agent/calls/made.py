"""A call that was asked for, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...daemon.wire import Part
from ..events import Call, Step
from ..guard import bounds
from ..offers.offer import Offered


@dataclass
class Made:
    """A call that was asked for, and what came of it."""

    call: Call
    step: Step
    offered: Offered | None
    #: The same for the same call.
    key: str = ""
    images: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    #: What the model is told beside an error.
    advice: str = ""

    @property
    def reads(self) -> bool:
        """Whether it may be made beside others."""
        return self.offered is not None and bounds.reads_only(self.offered.tool)

    def message(self) -> Part:
        """Return the message that tells the model what came of it."""
        step = self.step
        text = step.result
        if text is None:
            text = " ".join(part for part in (f"Error: {step.error}", self.advice) if part)
        if step.server and self.offered is not None:
            text = bounds.marked(text, step.server)
        name = self.offered.name if self.offered is not None else self.call.name
        return {
            "role": "tool",
            "tool_name": name,
            "tool_call_id": self.call.id,
            "content": text,
        }
