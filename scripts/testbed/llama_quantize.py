#!/usr/bin/env python3
"""Stand in for the program llama-quantize, which the llama-server wheel leaves out.

Ollama before 0.34.4 runs it to validate (COPY) or quantize a GGUF. It is copied to where Ollama
looks for it, beside libllama, whose function does the work:
``llama-quantize --allow-requantize INPUT OUTPUT TYPE``
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_TYPES = {"F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q4_K_S": 14, "Q4_K_M": 15}
_LOG = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)


class _Parameters(ctypes.Structure):
    """The start of llama_model_quantize_params; `rest` is longer than what follows."""

    _fields_ = (
        ("nthread", ctypes.c_int32),
        ("ftype", ctypes.c_int32),
        ("output_tensor_type", ctypes.c_int32),
        ("token_embedding_type", ctypes.c_int32),
        ("allow_requantize", ctypes.c_bool),
        ("quantize_output_tensor", ctypes.c_bool),
        ("only_copy", ctypes.c_bool),
        ("rest", ctypes.c_ubyte * 256),
    )


def main(words: list[str]) -> int:
    """Carry out the command line and return 0, or another number when llama.cpp fails."""
    if len(words) != 4 or words[0] != "--allow-requantize":
        print("usage: llama-quantize --allow-requantize INPUT OUTPUT TYPE", file=sys.stderr)
        return 2
    _, source, target, kind = words
    library = ctypes.CDLL(str(Path(__file__).resolve().parent / "libllama.so.0"))
    # Ollama reads the progress, such as "[  12/ 272]", from stdout
    write = _LOG(lambda _level, text, _data: os.write(1, text) and None)
    library.llama_log_set(write, None)
    library.llama_backend_init()
    library.llama_model_quantize_default_params.restype = _Parameters
    parameters = library.llama_model_quantize_default_params()
    parameters.allow_requantize = True
    if kind == "COPY":
        parameters.only_copy = True
    else:
        parameters.ftype = _TYPES[kind]
    paths = (source.encode(), target.encode())
    return int(library.llama_model_quantize(*paths, ctypes.byref(parameters)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
