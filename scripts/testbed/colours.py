"""A vision projector for SmolLM2 that is made by hand: it sees the one colour of a picture.

No trained vision model is on the registries. This projector has LLaVA's layout; its patch takes the
mean red, green and blue of the picture, and its two layers give the language model the embedding
of the nearest colour word, so a red picture reads as the token " red". All around it is real: the
decoding of PNG and JPEG, the loading of projectors, the image tokens, the errors.
"""

from __future__ import annotations

import struct
from pathlib import Path

from .gguf import Head, Kind, TensorKind, Writer, read_head

WORDS = {
    "black": (0, 0, 0),
    "red": (1, 0, 0),
    "green": (0, 1, 0),
    "blue": (0, 0, 1),
    "yellow": (1, 1, 0),
    "purple": (1, 0, 1),
    "turquoise": (0, 1, 1),
    "white": (1, 1, 1),
}
_SIDE = 32  # pixels of a picture, which is one patch
_WIDTH = 32  # of the vision embedding, of which three are used
_GAIN = 20.0  # steepness: a unit is fully on at its colour and off at the next


def make_projector(language_model: Path, target: Path) -> None:
    """Write the projector for SmolLM2's GGUF; raises ValueError for another model's."""
    head = read_head(language_model)
    rows = [_embedding(language_model, head, f"\u0120{word}") for word in WORDS]
    width = len(rows[0])
    writer = Writer()
    _describe(writer, width)
    _add_eye(writer)
    # unit k fires with 1 - (L1 distance to colour k), times the gain ...
    signs = [[_GAIN if part else -_GAIN for part in rgb] for rgb in WORDS.values()]
    weights = [value for row in signs for value in row + [0.0] * (_WIDTH - 3)]
    writer.add_floats("mm.0.weight", (_WIDTH, len(WORDS)), weights)
    bias = [_GAIN * (1.0 - sum(rgb)) for rgb in WORDS.values()]
    writer.add_floats("mm.0.bias", (len(WORDS),), bias)
    # ... and stands for its word's embedding
    words = [row[column] / _GAIN for column in range(width) for row in rows]
    writer.add_floats("mm.2.weight", (len(WORDS), width), words)
    writer.add_floats("mm.2.bias", (width,), [0.0] * width)
    writer.write(target)


def _describe(writer: Writer, width: int) -> None:
    writer.set("general.architecture", Kind.STRING, "clip")
    writer.set("general.type", Kind.STRING, "mmproj")
    writer.set("general.name", Kind.STRING, "hand-made colour projector")
    writer.set("general.file_type", Kind.U32, 0)  # f32
    writer.set("clip.has_vision_encoder", Kind.BOOL, value=True)
    writer.set("clip.projector_type", Kind.STRING, "mlp")
    writer.set("clip.use_gelu", Kind.BOOL, value=True)
    for name, value in {
        "image_size": _SIDE,
        "patch_size": _SIDE,
        "embedding_length": _WIDTH,
        "feed_forward_length": _WIDTH,
        "block_count": 1,
        "projection_dim": width,
        "attention.head_count": 1,
    }.items():
        writer.set(f"clip.vision.{name}", Kind.U32, value)
    writer.set("clip.vision.attention.layer_norm_epsilon", Kind.F32, 1e-5)
    writer.set_array("clip.vision.image_mean", Kind.F32, [0.0] * 3)
    writer.set_array("clip.vision.image_std", Kind.F32, [1.0] * 3)


def _add_eye(writer: Writer) -> None:
    """Add the patch embedding, and one block that is there for its shape: LLaVA skips the last."""
    pixels = _SIDE * _SIDE
    kernel: list[float] = []
    for output in range(_WIDTH):
        for channel in range(3):
            kernel += [1.0 / pixels if output == channel else 0.0] * pixels
    writer.add_floats("v.patch_embd.weight", (_SIDE, _SIDE, 3, _WIDTH), kernel)
    writer.add_floats("v.position_embd.weight", (_WIDTH, 1), [0.0] * _WIDTH)
    for name in ("attn_q", "attn_k", "attn_v", "attn_out", "ffn_up", "ffn_down"):
        writer.add_floats(f"v.blk.0.{name}.weight", (_WIDTH, _WIDTH), [0.0] * _WIDTH**2)
        writer.add_floats(f"v.blk.0.{name}.bias", (_WIDTH,), [0.0] * _WIDTH)
    for name in ("ln1", "ln2"):
        writer.add_floats(f"v.blk.0.{name}.weight", (_WIDTH,), [0.0] * _WIDTH)
        writer.add_floats(f"v.blk.0.{name}.bias", (_WIDTH,), [0.0] * _WIDTH)


def _embedding(path: Path, head: Head, token: str) -> list[float]:
    """Return a token's row of the embedding matrix: q8_0, blocks of an f16 scale and 32 bytes."""
    matrix = head.tensors["token_embd.weight"]
    if matrix.kind != TensorKind.Q8_0:
        raise ValueError(f"{path}: the embedding is of ggml type {matrix.kind}, not q8_0")
    index = head.metadata["tokenizer.ggml.tokens"].index(token)
    blocks = matrix.shape[0] // 32
    with path.open("rb") as file:
        file.seek(matrix.offset + index * blocks * 34)
        row = file.read(blocks * 34)
    return [scale * part for scale, *parts in struct.iter_unpack("<e32b", row) for part in parts]
