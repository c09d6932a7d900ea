"""all-MiniLM-L6-v2, a BERT embedding model, turned from f16 safetensors into a GGUF."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from .gguf import Kind, TensorKind, Writer

WEIGHTS, TOKENIZER, CONFIG = "model.fp16.safetensors", "tokenizer.json", "config.json"

# names of the Hugging Face checkpoint -> names of llama.cpp, applied in this order
_RENAMED = {
    "encoder.layer.": "blk.",
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
    "embeddings.word_embeddings": "token_embd",
    "embeddings.token_type_embeddings": "token_types",
    "embeddings.position_embeddings": "position_embd",
    "embeddings.LayerNorm": "token_embd_norm",
}
# with llama.cpp's own spelling of separator
_SPECIAL = {
    "bos": "[CLS]",
    "eos": "[SEP]",
    "cls": "[CLS]",
    "seperator": "[SEP]",
    "unknown": "[UNK]",
    "padding": "[PAD]",
    "mask": "[MASK]",
}
_NORMAL, _CONTROL, _UNUSED = 1, 3, 5  # token types of llama.cpp


def convert(source: Path, target: Path) -> None:
    """Write the GGUF of the model whose three files are in the folder `source`."""
    settings = json.loads((source / CONFIG).read_text())
    tokenizer = json.loads((source / TOKENIZER).read_text())
    writer = Writer()
    _describe(writer, settings)
    _add_vocabulary(writer, tokenizer, settings["type_vocab_size"])
    _add_tensors(writer, (source / WEIGHTS).read_bytes())
    writer.write(target)


def _describe(writer: Writer, settings: dict[str, Any]) -> None:
    writer.set("general.architecture", Kind.STRING, "bert")
    writer.set("general.type", Kind.STRING, "model")
    writer.set("general.name", Kind.STRING, "all-MiniLM-L6-v2")
    writer.set("general.size_label", Kind.STRING, "22M")
    writer.set("general.file_type", Kind.U32, 1)  # mostly f16
    for name, value in {
        "block_count": settings["num_hidden_layers"],
        "context_length": settings["max_position_embeddings"],
        "embedding_length": settings["hidden_size"],
        "feed_forward_length": settings["intermediate_size"],
        "attention.head_count": settings["num_attention_heads"],
        "pooling_type": 1,  # mean
    }.items():
        writer.set(f"bert.{name}", Kind.U32, value)
    writer.set("bert.attention.layer_norm_epsilon", Kind.F32, settings["layer_norm_eps"])
    writer.set("bert.attention.causal", Kind.BOOL, value=False)


def _add_vocabulary(writer: Writer, tokenizer: dict[str, Any], token_types: int) -> None:
    ids: dict[str, int] = tokenizer["model"]["vocab"]
    words = sorted(ids, key=lambda word: ids[word])
    special = {token["content"] for token in tokenizer["added_tokens"] if token["special"]}
    kinds = [
        _CONTROL if word in special else _UNUSED if word.startswith("[unused") else _NORMAL
        for word in words
    ]
    writer.set("tokenizer.ggml.model", Kind.STRING, "bert")
    writer.set("tokenizer.ggml.pre", Kind.STRING, "default")
    writer.set_array("tokenizer.ggml.tokens", Kind.STRING, [_spell(word) for word in words])
    writer.set_array("tokenizer.ggml.token_type", Kind.I32, kinds)
    scores = [0.0 if kind == _NORMAL else -1000.0 for kind in kinds]
    writer.set_array("tokenizer.ggml.scores", Kind.F32, scores)
    writer.set("tokenizer.ggml.token_type_count", Kind.U32, token_types)
    for name, word in _SPECIAL.items():
        writer.set(f"tokenizer.ggml.{name}_token_id", Kind.U32, ids[word])


def _spell(word: str) -> str:
    """Mark the start of a word as llama.cpp does, where BERT marks the going on with ##."""
    if word.startswith("[") and word.endswith("]"):
        return word
    return word[2:] if word.startswith("##") else "\u2581" + word


def _add_tensors(writer: Writer, file: bytes) -> None:
    (length,) = struct.unpack_from("<Q", file)
    start = 8 + length
    head: dict[str, Any] = json.loads(file[8:start])
    for name in sorted(head.keys() - {"__metadata__"}):
        if "position_ids" in name or name.startswith("pooler."):
            continue
        first, last = head[name]["data_offsets"]
        data, shape = file[start + first : start + last], tuple(reversed(head[name]["shape"]))
        new = name
        for old, short in _RENAMED.items():
            new = new.replace(old, short)
        # ggml adds vectors, positions and token types in f32; matrices stay f16
        if len(shape) == 1 or new.startswith(("position_embd", "token_types")):
            writer.add_floats(new, shape, struct.unpack(f"<{len(data) // 2}e", data))
        else:
            writer.add_tensor(new, shape, TensorKind.F16, data)
