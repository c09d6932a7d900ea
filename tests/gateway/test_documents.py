"""What the gateway's OpenAPI documents say is so, whatever is sent to their operations.

`FUZZ_CASES=10000 pytest tests/gateway/test_documents.py` tries about so many with the gateway's
operations and the tools, and the edges of every schema besides; see tests/fuzz/cases.py.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from pydantic import SecretStr
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema
from schemathesis.python.asgi import shutdown_lifespans

from ollama_mcp_server.app import App
from ollama_mcp_server.gateway.app import build_gateway
from ollama_mcp_server.server import build_server
from ollama_mcp_server.settings import Settings
from tests.fake_ollama import FakeOllama
from tests.fuzz.cases import SEED, WANTED, Tally
from tests.gateway.workshop import key_of, server

#: Operations of all documents, nearly.
OPERATIONS = 26
#: Cases of random data for each operation: as many as are wanted, else few.
CASES = max(2, WANTED // OPERATIONS)
#: The name by which the requests go.
HOST = "testserver"
KEY, KEPT = key_of("all", "admin")
HEADERS = {"authorization": f"Bearer {KEY}"}
DOWN = {"name": "lost", "command": sys.executable, "args": ["-c", "raise SystemExit(3)"]}

#: Who comes in, tests/gateway/access tells of every route; and a tool may be called openapi.json,
#: so that POST is served where that document is.
OFF = ("ignored_auth", "allow_header_conformance")
#: Which 5xx there are, the gateway's document says, and 500 is none of them; what is right by its
#: schema may still name a model that is not there, or two tools.
OFF_OWN = (*OFF, "not_a_server_error", "positive_data_acceptance")
#: Tools read arguments kindly: "3" counts as 3, and null as not given.
OFF_TOOLS = (*OFF_OWN, "negative_data_rejection")


def end_of(response: Any) -> str:
    """Return what came of a case; of the 5xx only 500 is our fault, for one server is down."""
    if response is None or response.status_code == 500:
        return "error"
    return "answered" if response.status_code < 300 else "refused"


@schemathesis.check
def no_fault_of_ours(ctx: Any, response: Any, case: Any) -> None:
    """Let every answer pass but one that is a bug: 500, or the words of an exception."""
    assert response.status_code != 500
    assert b"Traceback" not in response.content


@pytest.fixture
def web(daemon: FakeOllama) -> Iterator[Any]:
    """A gateway in this process, with a server that is up, one that is down, and a key."""
    app = App(
        Settings(
            ollama_host=daemon.url,
            toolsets="all",
            servers=json.dumps({"servers": [server("notes.py"), DOWN]}),
            keys=SecretStr(json.dumps({"keys": [KEPT]})),
            allowed_hosts=(HOST,),
        )
    )
    mcp = build_server(app)
    yield build_gateway(app, mcp, mcp.http_app(host_origin_protection=False))
    shutdown_lifespans()


def run(
    web: Any, path: str, off: tuple[str, ...], tally: Tally, *, edges: bool
) -> tuple[set[str], list[str]]:
    """Try a document's operations, and return their names and what is wrong with them."""
    config = SchemathesisConfig.from_dict(
        {
            "headers": HEADERS,
            "seed": SEED if WANTED else 1,
            "generation": {
                "max-examples": CASES,
                "database": "none",
                "deterministic": not WANTED,
                "no-shrink": True,
            },
            "phases": {"stateful": {"enabled": False}, "coverage": {"enabled": edges}},
            "checks": {name: {"enabled": False} for name in off},
        }
    )
    document = schemathesis.openapi.from_asgi(path, web, config=config, headers=HEADERS)
    tried: set[str] = set()
    wrong: list[str] = []
    for event in from_schema(document).execute():
        if isinstance(event, events.NonFatalError):
            wrong.append(str(event.value))
        elif isinstance(event, events.FatalError):
            raise event.exception
        elif isinstance(event, events.ScenarioFinished):
            recorder = event.recorder
            tried |= {event.label or ""} if recorder.interactions else set()
            for said in (one.response for one in recorder.interactions.values()):
                tally.count(end_of(said))
            for case, checks in recorder.checks.items():
                for check in checks:
                    if check.status is not Status.SUCCESS and (info := check.failure_info):
                        said = recorder.interactions[case].response
                        answer = (said.status_code, said.content[:300]) if said else None
                        told = f"{info.failure.title}: {info.failure.message}"
                        wrong.append(f"{event.label}: {told}\n{info.code_sample}\n{answer}")
    return tried, wrong


@pytest.mark.timeout(120 + WANTED)
@pytest.mark.filterwarnings("ignore:Generating overly large repr")  # Hypothesis, of its own cases
def test_the_gateways_own_operations_do_what_its_document_says(
    web: Any, record_property: Callable[[str, object], None]
) -> None:
    tally = Tally()
    tried, wrong = run(web, "/openapi.json", OFF_OWN, tally, edges=bool(WANTED))
    tally.record(record_property)
    assert not wrong, "\n\n".join(wrong[:10])
    assert {"POST /api/ask", "POST /api/do", "GET /tools"} <= tried


@pytest.mark.timeout(120 + WANTED)
@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("/tools/notes/openapi.json", "POST /read"),
        ("/tools/ollama/openapi.json", "POST /ollama_chat"),
    ],
)
def test_tools_do_what_their_documents_say(
    web: Any, path: str, operation: str, record_property: Callable[[str, object], None]
) -> None:
    tally = Tally()
    tried, wrong = run(web, path, OFF_TOOLS, tally, edges=bool(WANTED))
    tally.record(record_property)
    assert not wrong, "\n\n".join(wrong[:10])
    assert operation in tried


def test_a_stream_of_events_is_not_described_as_one_text(web: Any) -> None:
    document = schemathesis.openapi.from_asgi("/openapi.json", web, headers=HEADERS)
    told = document.raw_schema["paths"]["/api/ask"]["post"]["responses"]["200"]["content"]
    assert told["text/event-stream"] == {}
