"""What all servers of the test bed share: they are stopped, by hand or at the end of a block."""

from __future__ import annotations

from typing import TypeVar

_Self = TypeVar("_Self", bound="Stoppable")


class Stoppable:
    """Something that runs until `stop`; as a context manager it is stopped after the block."""

    def stop(self) -> None:
        """Stop it and wait for the end."""
        raise NotImplementedError

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
