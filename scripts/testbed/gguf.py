"""GGUF, the file format of llama.cpp's models: a reader of heads and a writer of small files."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, BinaryIO


class Kind(IntEnum):
    """The type of a metadata value."""

    U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)


class TensorKind(IntEnum):
    """The types of tensor that the test bed meets."""

    F32 = 0
    F16 = 1
    Q8_0 = 8


_CODES = {
    Kind.U8: "B",
    Kind.I8: "b",
    Kind.U16: "H",
    Kind.I16: "h",
    Kind.U32: "I",
    Kind.I32: "i",
    Kind.F32: "f",
    Kind.BOOL: "?",
    Kind.U64: "Q",
    Kind.I64: "q",
    Kind.F64: "d",
}
_ALIGNMENT = 32


@dataclass(frozen=True)
class Tensor:
    """Where a tensor lies in a file: shape innermost first, ggml's type, offset in bytes."""

    shape: tuple[int, ...]
    kind: int
    offset: int


@dataclass(frozen=True)
class Head:
    """All of a GGUF file but the tensors' data."""

    metadata: dict[str, Any]
    tensors: dict[str, Tensor]


def read_head(path: Path) -> Head:
    """Read metadata and the list of tensors; raises ValueError when the file is no GGUF."""
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise ValueError(f"{path} is not a GGUF file")
        _version, tensors, values = (_number(file, code) for code in "IQQ")
        metadata = {}
        for _ in range(values):
            name = _string(file)
            metadata[name] = _value(file, Kind(_number(file, "I")))
        found = {}
        for _ in range(tensors):
            name = _string(file)
            shape = tuple(_number(file, "Q") for _ in range(_number(file, "I")))
            found[name] = Tensor(shape, _number(file, "I"), _number(file, "Q"))
        start = math.ceil(file.tell() / _ALIGNMENT) * _ALIGNMENT
    placed = {name: Tensor(t.shape, t.kind, start + t.offset) for name, t in found.items()}
    return Head(metadata, placed)


def _number(file: BinaryIO, code: str) -> Any:
    return struct.unpack("<" + code, file.read(struct.calcsize("<" + code)))[0]


def _string(file: BinaryIO) -> str:
    return file.read(_number(file, "Q")).decode("utf-8", "surrogateescape")


def _value(file: BinaryIO, kind: Kind) -> Any:
    if kind is Kind.STRING:
        return _string(file)
    if kind is Kind.ARRAY:
        items = Kind(_number(file, "I"))
        return [_value(file, items) for _ in range(_number(file, "Q"))]
    return _number(file, _CODES[kind])


@dataclass
class Writer:
    """A GGUF file in the making; metadata and tensors keep the order in which they were added."""

    _values: list[bytes] = field(default_factory=list)
    _tensors: list[tuple[str, tuple[int, ...], TensorKind, bytes]] = field(default_factory=list)

    def set(self, name: str, kind: Kind, value: Any) -> None:
        """Add one metadata value."""
        self._values.append(_pack_string(name) + struct.pack("<I", kind) + _pack(kind, value))

    def set_array(self, name: str, kind: Kind, items: Sequence[Any]) -> None:
        """Add a metadata array whose items are of one kind."""
        head = struct.pack("<IIQ", Kind.ARRAY, kind, len(items))
        body = b"".join(_pack(kind, item) for item in items)
        self._values.append(_pack_string(name) + head + body)

    def add_tensor(self, name: str, shape: tuple[int, ...], kind: TensorKind, data: bytes) -> None:
        """Add a tensor: shape innermost first, data as it is to lie in the file."""
        self._tensors.append((name, shape, kind, data))

    def add_floats(self, name: str, shape: tuple[int, ...], values: Sequence[float]) -> None:
        """Add an f32 tensor."""
        self.add_tensor(name, shape, TensorKind.F32, struct.pack(f"<{len(values)}f", *values))

    def write(self, path: Path) -> None:
        """Write the file."""
        head = struct.pack("<4sIQQ", b"GGUF", 3, len(self._tensors), len(self._values))
        head += b"".join(self._values)
        offset = 0
        for name, shape, kind, data in self._tensors:
            head += _pack_string(name)
            head += struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)
            offset += len(_pad(data))
        with path.open("wb") as file:
            file.write(_pad(head))
            for *_, data in self._tensors:
                file.write(_pad(data))


def _pack_string(text: str) -> bytes:
    data = text.encode("utf-8", "surrogateescape")
    return struct.pack("<Q", len(data)) + data


def _pack(kind: Kind, value: Any) -> bytes:
    return _pack_string(value) if kind is Kind.STRING else struct.pack("<" + _CODES[kind], value)


def _pad(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % _ALIGNMENT)
