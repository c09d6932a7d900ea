"""Passages that fit the window of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import anyio

from ...daemon.wire import Part
from .embedder import Embedder
from .passages import Passage, cut, fitting

if TYPE_CHECKING:
    from ...daemon.catalog import Catalog

#: Tokens of a window of which nobody tells anything.
WINDOW = 512


async def passages_of(
    texts: Sequence[tuple[str, str]],
    size: int,
    embedder: Embedder,
    catalog: Catalog,
    row: Part | None,
) -> list[Passage]:
    """Return the passages of texts, which fit the window of a model.

    Args:
        texts: the name and the content of each.
        size: tokens that a passage may have, whatever the window.
        embedder: asks the model, which it has loaded by now.
        catalog: knows the window of what is loaded.
        row: the model in the library, if it is there.
    """
    size = min(fitting(await _window(catalog, row, embedder.body)), size)

    def passages() -> list[Passage]:
        return [part for name, text in texts for part in cut(text, size, name)]

    return await anyio.to_thread.run_sync(passages, abandon_on_cancel=True)


async def _window(catalog: Catalog, row: Part | None, body: Part) -> int:
    """Return the window, in tokens, of a model that was just loaded by a request like `body`."""
    maximum = ((row or {}).get("details") or {}).get("context_length") or WINDOW
    window = await catalog.window(body["model"]) or (body.get("options") or {}).get("num_ctx")
    if not window and row and not row.get("remote_host"):  # its runner goes by another name
        window = (await catalog.modelfile(row)).num_ctx
    return min(window or maximum, maximum)
