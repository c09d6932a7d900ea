"""What `make scale` makes of what it sees: fates, verdicts, HAProxy's words, the table's place."""

from __future__ import annotations

import json
import re
from pathlib import Path

import anyio
import pytest

from ollama_mcp_server.app import App
from ollama_mcp_server.gateway.access.scopes import scope_of, scope_of_tool
from ollama_mcp_server.server import build_server
from ollama_mcp_server.settings import Settings
from scripts.scale import balancer, traffic
from scripts.scale.fates import Fate, Outcome, Tally, Verdict, each_once, limited, survived
from scripts.scale.report import BEGIN, END, placed, table
from scripts.testbed.steps import SetupError
from tests.fake_ollama import CATALOGUE, FakeOllama

ROOT = Path(__file__).parent.parent
TOLD = Path("/run/told.sock")
#: As HAProxy 2.6 answers `show stat`, of more columns.
STATS = """\
# pxname,svname,qcur,scur,smax,stot,status,wretr,wredis,chkfail,
servers,FRONTEND,,2,3,9,OPEN,,,,
requests,mcp-1,0,1,2,41,UP 2/3,3,1,0,
requests,mcp-2,0,0,2,40,DOWN,0,0,1,
requests,BACKEND,0,1,2,81,UP,3,1,,

"""


def tally(*fates: Fate, kind: str = "whole", at: float = 1.0) -> Tally:
    return Tally([Outcome(kind, fate, at, "why") for fate in fates])


def test_haproxy_s_counts_are_read() -> None:
    counts = balancer.read_counts(STATS)
    assert counts == {
        ("requests", "mcp-1"): balancer.Count(True, running=1, total=41, retried=3),
        ("requests", "mcp-2"): balancer.Count(False, running=0, total=40, retried=0),
    }


def test_the_deployed_balancer_is_the_one_that_is_shown_but_for_its_addresses() -> None:
    deployed = balancer.CONFIG.read_text()
    servers = ["127.0.0.1:1", "127.0.0.1:2"]
    shown = balancer.adapted(deployed, (7, 8), servers, ["127.0.0.1:3"], TOLD)
    assert "    bind 127.0.0.1:7\n" in shown
    assert "    bind 127.0.0.1:8\n" in shown
    assert shown.count("    server mcp-1 127.0.0.1:1 check inter 2s") == 2
    assert shown.count("    server mcp-2 127.0.0.1:2 check inter 2s") == 2
    assert shown.rstrip().endswith("    server ollama-1 127.0.0.1:3")
    assert f"    stats socket {TOLD} mode 600 level user\n" in shown
    assert "docker" not in shown
    assert "resolve" not in shown
    same = [line for line in deployed.splitlines() if line in shown.splitlines()]
    assert len(same) >= len(deployed.splitlines()) - 15  # addresses, and how names are resolved


def test_a_balancer_that_is_written_otherwise_is_not_half_adapted() -> None:
    other = balancer.CONFIG.read_text().replace("    bind :8000", "    bind :9000")
    with pytest.raises(SetupError, match="8000"):
        balancer.adapted(other, (7, 8), ["a:1"], ["b:2"], TOLD)


async def test_the_balancer_asks_again_only_what_asks_a_model_or_reads() -> None:
    rule = r"(?m)^    acl (asks|reads) (?:path|req.hdr\(Mcp-Name\)) (.*)$"
    rules = re.findall(rule, balancer.CONFIG.read_text())
    found = {name: kind for kind, names in rules for name in names.split()}
    server = build_server(App(Settings()))
    for name, kind in found.items():
        tool = None if name.startswith("/") else await server.get_tool(name)
        need = scope_of_tool(tool) if tool else scope_of("POST", name)
        assert need == {"asks": "infer", "reads": "read"}[kind]
    assert {"/v1/chat/completions", "/api/show", "ollama_generate", "ollama_ps"} <= found.keys()
    assert "ollama_batch" not in found  # it may write a file


def test_a_load_survives_where_nothing_is_lost_and_all_kinds_go_on() -> None:
    seen = tally(Fate.ANSWERED, Fate.TOLD)
    verdict = survived("what", seen, 0.5, ["whole"], cuts=False)
    assert verdict == Verdict("what", True, "1 answered, 0 lost; 1 ended by an error in mid-answer")


@pytest.mark.parametrize(("fate", "cuts", "passes"), [
    (Fate.LOST, True, False), (Fate.CUT, True, True), (Fate.CUT, False, False),
])  # fmt: skip
def test_what_a_load_may_not_have(fate: Fate, cuts: bool, passes: bool) -> None:
    verdict = survived("what", tally(Fate.ANSWERED, fate), 0.5, ["whole"], cuts=cuts)
    assert verdict.passed is passes
    assert ("why" in verdict.told) is not passes


def test_a_kind_of_request_that_never_came_back_fails() -> None:
    seen = tally(Fate.ANSWERED, at=0.1)
    verdict = survived("what", seen, 0.5, ["whole"], cuts=True)
    assert not verdict.passed
    assert "no whole answered afterwards" in verdict.told


@pytest.mark.parametrize(("passed", "holds"), [(18, False), (19, True), (21, True), (22, False)])
def test_a_limit_holds_within_one(passed: int, holds: bool) -> None:
    seen = tally(*[Fate.ANSWERED] * passed, *[Fate.REFUSED] * (60 - passed))
    assert limited("20", seen, 19, 21).passed is holds


def test_a_limit_does_not_hold_where_requests_failed_in_another_way() -> None:
    seen = tally(*[Fate.ANSWERED] * 20, *[Fate.REFUSED] * 39, Fate.LOST)
    verdict = limited("20", seen, 19, 21)
    assert not verdict.passed
    assert "1 failed: 1 × whole: why" in verdict.told


@pytest.mark.parametrize(("found", "holds"), [
    ([2, 0, 1], True), ([0, 1], False), ([0, 1, 1, 2], False), ([0, 1, 2, 3], False),
])  # fmt: skip
def test_each_item_once(found: list[int], holds: bool) -> None:
    assert each_once("what", found, 3, "").passed is holds


def test_the_table_takes_the_place_between_the_marks() -> None:
    text = table([Verdict("a", True, "1|2"), Verdict("c", False, "3")])
    assert text.splitlines()[2:] == ["| a | yes | 1/2 |", "| c | **no** | 3 |"]
    page = placed(f"before\n{BEGIN}\nold\n{END}\nafter\n", text)
    assert page == f"before\n{BEGIN}\n{text}\n{END}\nafter\n"


@pytest.mark.parametrize("page", ["", BEGIN, f"{END}\n{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_a_page_without_the_marks_is_left_alone(page: str) -> None:
    with pytest.raises(ValueError, match="scale:begin"):
        placed(page, "text")


def test_the_documentation_has_the_marks() -> None:
    page = (ROOT / "docs/benchmarks.md").read_text()
    assert placed(page, "x").count("\nx\n") == 1


@pytest.mark.parametrize("line", [
    {"error": {"message": "gone"}}, {"type": "error", "error": {"message": "gone"}},
    {"error": "gone"},
])  # fmt: skip
def test_the_error_of_each_api_is_seen(line: dict[str, object]) -> None:
    assert "gone" in (traffic.error_in(json.dumps(line)) or "")


@pytest.mark.parametrize("last", [
    "[DONE]", '{"type":"message_stop"}', '{"message":{},"done":true,"done_reason":"stop"}',
    '{"done": true}',
])  # fmt: skip
def test_the_end_of_each_api_is_seen(last: str) -> None:
    assert traffic.is_end(last)
    assert traffic.error_in(last) is None


def test_an_answer_that_goes_on_is_not_at_its_end() -> None:
    assert not traffic.is_end('{"choices":[{"delta":{"content":"done"}}]}')


async def fate_of(daemon: FakeOllama, *, stream: bool) -> Fate:
    said = [{"role": "user", "content": "Hi"}]
    asked = {"model": CATALOGUE[0].name, "messages": said, "stream": stream}
    ask = traffic.streamed if stream else traffic.whole
    async with traffic.client(daemon.url, {}) as http:
        return (await ask(http, "/api/chat", asked))[0]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_whole_answer_is_answered(daemon: FakeOllama, stream: bool) -> None:
    assert await fate_of(daemon, stream=stream) is Fate.ANSWERED


@pytest.mark.parametrize("stream", [False, True])
async def test_no_answer_at_all_is_lost(daemon: FakeOllama, stream: bool) -> None:
    daemon.reply("/api/chat", cut=True)
    assert await fate_of(daemon, stream=stream) is Fate.LOST


@pytest.mark.parametrize("stream", [False, True])
async def test_a_status_that_is_an_error_is_lost(daemon: FakeOllama, stream: bool) -> None:
    daemon.reply("/api/chat", status=503, error="no server")
    assert await fate_of(daemon, stream=stream) is Fate.LOST


async def test_an_error_with_the_status_of_an_answer_is_lost(daemon: FakeOllama) -> None:
    daemon.reply("/api/chat", error="gone")
    assert await fate_of(daemon, stream=False) is Fate.LOST


async def test_a_stream_that_breaks_is_cut(daemon: FakeOllama) -> None:
    daemon.reply("/api/chat", {"message": {"content": "He"}, "done": False}, cut=True)
    assert await fate_of(daemon, stream=True) is Fate.CUT


async def test_a_stream_that_ends_with_an_error_is_told(daemon: FakeOllama) -> None:
    daemon.reply("/api/chat", {"message": {"content": "He"}, "done": False}, error="gone")
    assert await fate_of(daemon, stream=True) is Fate.TOLD


async def test_a_stream_that_ends_as_if_it_were_whole_is_lost(daemon: FakeOllama) -> None:
    daemon.reply("/api/chat", {"message": {"content": "He"}, "done": False})
    assert await fate_of(daemon, stream=True) is Fate.LOST


async def test_a_refusal_by_a_limit_is_no_loss(daemon: FakeOllama) -> None:
    daemon.reply("/api/chat", status=429, error="slow down")
    assert await fate_of(daemon, stream=False) is Fate.REFUSED


async def test_clients_ask_until_they_are_told_to_stop() -> None:
    until, seen = anyio.Event(), Tally()

    async def ask() -> tuple[Fate, str]:
        if len(seen.outcomes) == 2:
            until.set()
        return Fate.ANSWERED, ""

    await traffic.keep_on("whole", ask, seen, until)
    assert seen.answered == {"whole": 3}


async def test_so_many_ask_at_once() -> None:
    async def ask() -> tuple[Fate, str]:
        return Fate.REFUSED, ""

    assert (await traffic.at_once("whole", ask, 5)).count(Fate.REFUSED) == 5
