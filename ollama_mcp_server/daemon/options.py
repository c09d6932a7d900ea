"""Ollama's `options`: what each must be, checked before the daemon is asked.

The daemon answers 500 to a wrong type and ignores an unknown name in silence
(`api.Options` in Ollama 0.34).
"""

import difflib
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, field_validator, model_validator

Whole = Annotated[int, Field(ge=-(2**31), lt=2**31)]
Count = Annotated[int, Field(ge=0, lt=2**31)]
Size = Annotated[int, Field(ge=1, lt=2**31)]
Share = Annotated[float, Field(ge=0, le=1)]
Real = Annotated[float, Field(allow_inf_nan=False)]


class Options(BaseModel):
    """Model options, by Ollama's own names. Unknown ones are passed on, near misses are not."""

    model_config = ConfigDict(extra="allow", defer_build=True)

    num_keep: Whole | None = None
    seed: Whole | None = None
    num_predict: Whole | None = None
    top_k: Count | None = None
    top_p: Share | None = None
    min_p: Share | None = None
    typical_p: Share | None = None
    repeat_last_n: Whole | None = None
    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    repeat_penalty: Real | None = None
    presence_penalty: Real | None = None
    frequency_penalty: Real | None = None
    stop: list[str] | None = None
    num_ctx: Size | None = None
    num_batch: Size | None = None
    num_gpu: Whole | None = None
    main_gpu: Whole | None = None
    use_mmap: StrictBool | None = None
    num_thread: Count | None = None
    draft_num_predict: Count | None = None

    @field_validator("stop", mode="before")
    @classmethod
    def _one_stop(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("num_predict")
    @classmethod
    def _bounded(cls, value: int | None) -> int | None:
        if value == 0:
            raise ValueError("0 would never end in Ollama; leave it out to fill the window at most")
        return value

    @model_validator(mode="after")
    def _no_near_misses(self) -> "Options":
        for name in self.unknown:
            if near := difflib.get_close_matches(name.lower(), type(self).model_fields, 1, 0.75):
                raise ValueError(f"unknown option {name!r}; did you mean {near[0]!r}?")
        return self

    @property
    def unknown(self) -> list[str]:
        """Names that Ollama 0.34 does not know."""
        return sorted(self.model_extra or ())

    def sent(self) -> dict[str, Any]:
        """Return what goes to the daemon: only what the caller gave."""
        return self.model_dump(exclude_none=True)

    def window(self) -> dict[str, Any]:
        """Return num_ctx alone, where the caller gave it."""
        return {} if self.num_ctx is None else {"num_ctx": self.num_ctx}


def is_zero(keep_alive: object) -> bool:
    """Return whether a `keep_alive` unloads the model at once: 0, or a duration such as "0s"."""
    if isinstance(keep_alive, str):
        return keep_alive != "" and not any(digit in keep_alive for digit in "123456789")
    return keep_alive == 0 and keep_alive is not False
