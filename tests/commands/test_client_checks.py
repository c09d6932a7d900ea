"""What `doctor` judges of this server's entries in the clients' files."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from ollama_mcp_server.clients.catalogue import CLIENTS, Computer
from ollama_mcp_server.clients.ours import Entry
from ollama_mcp_server.clients.trial import Answer
from ollama_mcp_server.commands._client_checks import Found, answer_of, judged, search, trials

HERE = "http://127.0.0.1:8000/mcp"
FILE = Path("/home/me/mcp.json")
STARTS = Entry("ollama", ["ollama-mcp-server"])
SILENT = Answer(error="no luck")


def of(client: str, *entries: Entry, error: str | None = None) -> Found:
    return Found(CLIENTS[client], FILE, entries, error)


def test_without_a_client_it_is_said_in_a_line() -> None:
    [check] = judged([], {}, HERE)
    assert (check.name, check.status) == ("clients", "ok")


def test_an_entry_that_answers_is_well_and_one_that_does_not_is_broken() -> None:
    [well] = judged([of("cursor", STARTS)], {STARTS.likeness: Answer(15, 800)}, HERE)
    assert (well.name, well.status, well.mend) == ("client cursor", "ok", "")
    assert "15 tools in 800 ms" in well.found
    [broken] = judged([of("cursor", STARTS)], {STARTS.likeness: SILENT}, HERE)
    assert (broken.status, broken.mend) == ("fail", "ollama-mcp-server install cursor")
    assert "does not start: no luck" in broken.found


def test_an_entry_of_another_name_is_mended_under_it() -> None:
    entry = Entry("local", ["ollama-mcp-server"])
    [check] = judged([of("codex", entry)], {entry.likeness: SILENT}, HERE)
    assert check.mend == "ollama-mcp-server install codex --name local"


def test_an_address_of_this_server_is_mended_by_starting_it() -> None:
    near = Entry("x", url="http://localhost:8000/mcp")
    far = Entry("ollama", url="https://user:secret@far.example/mcp?key=secret")
    answers = {near.likeness: SILENT, far.likeness: SILENT}
    checks = judged([of("cursor", near), of("zed", far)], answers, HERE)
    assert checks[0].mend == "ollama-mcp-server --transport http"
    assert "https://far.example/mcp, does not answer" in checks[1].found
    assert "secret" not in checks[1].found


def test_what_was_not_tried_is_no_fault() -> None:
    off = Entry("ollama", ["ollama-mcp-server"], is_off=True)
    unknown = Entry("ollama", url=HERE, headers={"Authorization": "${input:key}"})
    checks = judged([of("cursor", off), of("vscode", unknown)], {}, HERE)
    assert [check.status for check in checks] == ["ok", "ok"]
    assert "switched off" in checks[0].found
    assert "not tried" in checks[1].found


@pytest.mark.parametrize(("others", "status"), [([], "warn"), ([STARTS], "ok")])
def test_a_client_without_an_entry_is_doubtful_where_no_other_has_one(
    others: list[Entry], status: str
) -> None:
    found = [of("zed"), *[of("cursor", entry) for entry in others]]
    check = judged(found, {STARTS.likeness: Answer(1, 1)}, HERE)[0]
    assert (check.status, check.mend) == (status, "ollama-mcp-server install zed")


def test_a_file_that_cannot_be_read_is_doubtful() -> None:
    [check] = judged([of("goose", error="line 3: no YAML")], {}, HERE)
    assert (check.status, check.found) == ("warn", "line 3: no YAML")
    assert "Goose cannot read it either" in check.mend


def test_only_files_that_are_there_are_read(tmp_path: Path) -> None:
    (tmp_path / ".cursor").mkdir()
    (tmp_path / ".cursor/mcp.json").write_text(json.dumps({"mcpServers": {"a": {"url": HERE}}}))
    (tmp_path / ".claude.json").write_text("[")
    found = search(Computer("linux", {}, str(tmp_path)), HERE)
    assert [one.client.name for one in found] == ["claude-code", "cursor"]
    assert found[0].error is not None
    assert [entry.name for entry in found[1].entries] == ["a"]


async def test_what_is_alike_is_tried_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = f"open({str(log)!r}, 'a').write('x'); print('ollama-mcp-server')"
    one, two = (Entry(name, [sys.executable, "-c", script]) for name in ("a", "b"))
    off = Entry("c", [sys.executable, "-c", script], {"A": "1"}, is_off=True)
    answers = await trials([one, two, off], tmp_path)
    assert log.read_text() == "x"
    assert list(answers) == [one.likeness]


async def test_a_failure_repeats_no_secret(tmp_path: Path) -> None:
    script = "import os, sys; sys.exit('bad key ' + os.environ['OLLAMA_API_KEY'])"
    entry = Entry("a", [sys.executable, "-c", script], {"OLLAMA_API_KEY": "hunter2-and-more"})
    answer = await answer_of(entry, tmp_path)
    assert answer.error is not None
    assert "bad key ***" in answer.error
