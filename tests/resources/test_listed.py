"""The resources as hosts see them."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ollama_mcp_server.server import build_server
from tests.conftest import Caller, MakeApp

LISTED = Path(__file__).parent / "listed.json"


async def test_snapshot(make_app: MakeApp) -> None:
    """Addresses are public API: `UPDATE_SCHEMAS=1` rewrites it, the diff is reviewed."""
    async with Caller(build_server(make_app(ollama_host="127.0.0.1:9"))) as client:
        found = [*await client.list_resources(), *await client.list_resource_templates()]
    now = [each.model_dump(mode="json", by_alias=True, exclude_none=True) for each in found]
    text = json.dumps(now, ensure_ascii=False, indent=2) + "\n"
    if os.environ.get("UPDATE_SCHEMAS"):
        LISTED.write_text(text)
    assert text == LISTED.read_text(), "a resource has changed: review, then UPDATE_SCHEMAS=1"
    assert all(each.title and each.description and each.mime_type for each in found)
    assert all(
        str(getattr(each, "uri", "") or each.uri_template).startswith("ollama://") for each in found
    )
