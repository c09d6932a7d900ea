"""Vectors, and those that are remembered."""

from __future__ import annotations

from array import array
from collections import OrderedDict
from typing import TypeAlias

#: The numbers of a vector, four bytes each.
Vector: TypeAlias = "array[float]"

#: Bytes of vectors that are remembered, and what each takes beside its numbers.
REMEMBERED = 64 * 2**20
OVERHEAD = 256


class Vectors:
    """The vectors of texts that were embedded last, up to a number of bytes."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._limit = limit
        self._size = 0
        self._vectors: OrderedDict[bytes, Vector] = OrderedDict()

    def get(self, key: bytes) -> Vector | None:
        """Return what is remembered under a key, or None."""
        if key in self._vectors:
            self._vectors.move_to_end(key)
        return self._vectors.get(key)

    def put(self, key: bytes, vector: Vector) -> None:
        """Remember a vector; those that were not asked for longest make room."""
        self._drop(key)
        self._vectors[key] = vector
        self._size += _bytes(vector)
        while self._size > self._limit:
            self._drop(next(iter(self._vectors)))

    def _drop(self, key: bytes) -> None:
        if (vector := self._vectors.pop(key, None)) is not None:
            self._size -= _bytes(vector)


def _bytes(vector: Vector) -> int:
    return len(vector) * vector.itemsize + OVERHEAD
