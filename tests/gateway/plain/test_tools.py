"""Tools by name over plain HTTP: what they answer, who may call them, and what is refused."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from ollama_mcp_server.gateway.plain.foreign import Foreign
from tests.conftest import CHAT, HELLO, MakeApp
from tests.fake_ollama import FakeOllama
from tests.gateway.workshop import error_of, key_of, opened, script, server

STRING = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def tool(name: str, **more: Any) -> dict[str, Any]:
    """Return a tool that says that it only reads."""
    plain = {"type": "object", "properties": {}}
    return {"name": name, "inputSchema": plain, "annotations": {"readOnlyHint": True}, **more}


async def call(client: httpx.AsyncClient, path: str, /, **arguments: Any) -> Any:
    said = await client.post(f"/tools/{path}", json=arguments)
    assert said.status_code == 200, said.text
    assert said.headers["content-type"] == "application/json"
    return said.json()


async def refused(
    client: httpx.AsyncClient, path: str, /, **arguments: Any
) -> tuple[int, str, str]:
    return error_of(await client.post(f"/tools/{path}", json=arguments))


async def do(client: httpx.AsyncClient, **body: Any) -> httpx.Response:
    return await client.post("/api/do", json=body)


async def test_structured_content_is_answered_as_json_else_text(daemon: FakeOllama) -> None:
    async with opened(daemon, server("city.py", "zebra"), server("notes.py")) as client:
        rain = {"result": "It rains zebra in Oslo."}
        assert await call(client, "city/get_weather", city="Oslo") == rain
        assert await call(client, "notes/read", name="shopping") == "milk and bread"
        assert await call(client, "notes/list") == "shopping, token"


async def test_do_calls_the_same_by_one_name(daemon: FakeOllama) -> None:
    async with opened(daemon, server("notes.py")) as client:
        arguments = {"name": "shopping"}
        for name in ("tool", "action"):
            said = await do(client, **{name: "notes:read", "arguments": arguments})
            assert said.json() == "milk and bread"
        for name in ("ollama_list", "ollama:ollama_list"):
            assert (await do(client, tool=name)).json()["models"]


async def test_media_are_data_among_the_texts(daemon: FakeOllama) -> None:
    async with opened(daemon, server("shows.py")) as client:
        words, picture, link, memo = await call(client, "shows/show")
    assert words == "a picture"
    assert picture.startswith("data:image/png;base64,iVBOR")
    assert link["uri"] == "file:///notes.txt"
    assert memo == "a memo"


async def test_a_tool_that_fails_is_told_with_its_words(daemon: FakeOllama) -> None:
    async with opened(daemon, server("notes.py")) as client:
        status, code, words = await refused(client, "notes/read", name="diary")
    assert (status, code) == (502, "tool_failed")
    assert "there is no note diary" in words


async def test_arguments_are_checked_by_the_schema_and_mended_where_that_is_certain(
    daemon: FakeOllama,
) -> None:
    async with opened(daemon, server("city.py", "zebra")) as client:
        six = await call(client, "city/add", a="6", b=7)
        assert six == {"result": "6 and 7 make 13, says zebra."}
        status, code, words = await refused(client, "city/add", a=6)
        assert (status, code) == (400, "invalid_argument")
        assert "wrong arguments for city:add" in words
        assert "b" in words


async def test_what_is_not_there_is_told_with_what_is_near(daemon: FakeOllama) -> None:
    async with opened(daemon, server("notes.py")) as client:
        status, code, words = await refused(client, "nots/read")
        assert (status, code) == (404, "not_found")
        assert "Did you mean notes" in words
        assert "Did you mean read" in (await refused(client, "notes/reed"))[2]
        assert "ollama_list" in (await refused(client, "ollama/ollama_lst"))[2]
        assert error_of(await do(client, tool="shopping"))[:2] == (404, "not_found")
        assert (await client.get("/tools/nots/openapi.json")).status_code == 404


async def test_names_of_any_letters_can_be_called(daemon: FakeOllama, tmp_path: Path) -> None:
    names = ["a/b", "what? now", "50%", "grüße", "{x}", "a:b", "openapi.json"]
    odd = server(script(tmp_path, [tool(name) for name in names]), name="My tools v1.2")
    async with opened(daemon, odd) as client:
        document = (await client.get("/tools/My%20tools%20v1.2/openapi.json")).json()
        assert len(document["paths"]) == len(names)
        for path, name in zip(document["paths"], names, strict=True):
            assert await call(client, f"My%20tools%20v1.2{path}") == name
        assert (await do(client, tool="My tools v1.2:a:b")).json() == "a:b"
        whole = (await client.get("/tools/openapi.json")).json()
        assert "/My%20tools%20v1.2/a%2Fb" in whole["paths"]


async def test_what_may_destroy_is_refused_unless_it_is_allowed(daemon: FakeOllama) -> None:
    token = {"name": "token"}
    async with opened(daemon, server("notes.py")) as client:
        status, code, words = await refused(client, "notes/delete", **token)
        assert (status, code) == (403, "permission_denied")
        assert "allow_destructive" in words
        asked = {"tool": "notes:delete", "arguments": token}
        assert error_of(await do(client, **asked))[0] == 403
        assert await call(client, "notes/list") == "shopping, token"
        assert (await do(client, **asked, allow_destructive=True)).json() == "deleted"
    async with opened(daemon, server("notes.py"), allow_destructive=True) as client:
        assert await call(client, "notes/delete", **token) == "deleted"
    async with opened(daemon, server("notes.py"), read_only=True) as client:
        said = error_of(await do(client, **asked, allow_destructive=True))
        assert said[0] == 403
        assert "read-only" in said[2]
        paths = (await client.get("/tools/notes/openapi.json")).json()["paths"]
        assert set(paths) == {"/list", "/read"}


async def test_the_lists_of_a_server_hold(daemon: FakeOllama) -> None:
    async with opened(daemon, server("notes.py", deny=["read"], allow=["*"])) as client:
        assert error_of(await do(client, tool="notes:read", arguments={"name": "token"}))[0] == 403
        paths = (await client.get("/tools/notes/openapi.json")).json()["paths"]
        assert set(paths) == {"/list", "/delete"}


async def test_arguments_name_no_path_outside_the_folders(
    daemon: FakeOllama, tmp_path: Path
) -> None:
    schema = {"type": "object", "properties": {"path": {"type": "string"}}}
    files = server(
        script(tmp_path, [tool("look", inputSchema=schema)], "text(sys.argv[1])"),
        name="files",
        requires_path=True,
    )
    work, other = tmp_path / "work", tmp_path / "work" / "other"
    other.mkdir(parents=True)
    async with opened(daemon, files, roots=(work,)) as client:
        assert await call(client, "files/look", path=str(other / "a")) == str(work)
        for outside in ("/etc/passwd", "../secret"):
            status, code, words = await refused(client, "files/look", path=outside)
            assert (status, code) == (403, "permission_denied")
            assert "Access denied" in words
        said = await do(client, tool="files:look", path=str(other))
        assert said.json() == str(other)
        assert (await client.post(f"/tools/files/look?path={other}")).json() == str(other)
        assert error_of(await do(client, tool="files:look", path="/etc"))[0] == 403
    async with opened(daemon, files) as client:
        status, code, words = await refused(client, "files/look")
        assert (status, code) == (503, "server_down")
        assert "needs a path" in words


async def test_a_server_that_is_down_is_told_and_stops_no_other(
    daemon: FakeOllama, tmp_path: Path
) -> None:
    async with opened(daemon, server("fails.py"), server("notes.py")) as client:
        said = await client.post("/tools/fails/anything", json={})
        status, code, words = error_of(said)
        assert (status, code) == (503, "server_down")
        assert "fails is down since 20" in words
        assert "cannot log in" in words
        details = said.json()["error"]["details"]
        assert (details["server"], set(details)) == ("fails", {"server", "since", "reason"})
        document = (await client.get("/tools/fails/openapi.json")).json()
        assert document["paths"] == {}
        assert "is down since" in document["info"]["description"]
        whole = (await client.get("/tools/openapi.json")).json()
        assert "/notes/read" in whole["paths"]
        assert "fails is down since" in whole["info"]["description"]
        states = {one["name"]: one for one in (await client.get("/tools")).json()["servers"]}
        assert states["fails"]["state"] == "down"
        assert states["fails"]["since"]
        assert states["notes"]["tools"] == ["list", "read", "delete"]


async def test_a_server_that_was_down_comes_back_by_itself(
    daemon: FakeOllama, tmp_path: Path
) -> None:
    file = tmp_path / "made.py"
    file.write_text("raise SystemExit(1)")
    async with opened(daemon, server(file)) as client:
        assert (await refused(client, "made/hello"))[0] == 503
        script(tmp_path, [tool("hello")])
        assert await call(client, "made/hello") == "hello"


async def test_a_server_that_does_not_start_in_time_holds_up_no_document(
    make_app: MakeApp,
) -> None:
    app = make_app(servers=json.dumps([server("hangs.py")]))
    foreign = Foreign(app, look=0.5)
    tools, note = await foreign.tools(await foreign.definition("hangs"))
    assert (tools, note) == ([], "the MCP server hangs is still starting")


async def test_our_own_tools_are_there_where_the_others_cannot_be_read(
    daemon: FakeOllama,
) -> None:
    async with opened(daemon, {"name": "x", "comand": "y"}) as client:
        whole = (await client.get("/tools/openapi.json")).json()
        assert "/ollama/ollama_list" in whole["paths"]
        assert "comand" in whole["info"]["description"]
        assert (await call(client, "ollama/ollama_list"))["models"]
        assert (await refused(client, "x/y"))[:2] == (400, "invalid_argument")


async def test_a_tool_that_takes_too_long_times_out(daemon: FakeOllama, tmp_path: Path) -> None:
    sleeps = server(script(tmp_path, [tool("wait")], "time.sleep(30)"), timeout=100)
    async with opened(daemon, sleeps) as client:
        assert (await refused(client, "made/wait"))[:2] == (504, "timeout")


async def test_own_tools_fail_with_their_own_status(daemon: FakeOllama) -> None:
    async with opened(daemon) as client:
        missing = await refused(client, "ollama/ollama_show", model="nothing")
        assert missing[:2] == (404, "model_not_found")
        wrong = await refused(client, "ollama/ollama_show", modle=CHAT)
        assert wrong[:2] == (400, "invalid_argument")
        assert "did you mean model" in wrong[2]
        said = await call(client, "ollama/ollama_chat", model=CHAT, messages=HELLO)
        assert said["content"]
        assert said["usage"]["prompt_tokens"] > 0


async def test_a_tool_that_is_left_out_says_how_to_get_it(daemon: FakeOllama) -> None:
    async with opened(daemon, read_only=True) as client:
        status, _, words = await refused(client, "ollama/ollama_delete", model=CHAT)
        assert status == 404
        assert "OLLAMA_MCP_READ_ONLY" in words
        paths = (await client.get("/tools/ollama/openapi.json")).json()["paths"]
        assert "/ollama_delete" not in paths
        assert "/ollama_list" in paths


async def test_own_tools_need_the_scopes_that_they_have_over_mcp(daemon: FakeOllama) -> None:
    keys = {
        "agent": key_of("agent", "agent"),
        "keeper": key_of("keeper", "agent", "manage"),
        "one": key_of("one", "agent", "infer", models=(CHAT,)),
        "asker": key_of("asker", "infer"),
    }
    known = [kept for _, kept in keys.values()]
    chat = {"model": CHAT, "messages": HELLO}
    delete = "ollama/ollama_delete"
    async with opened(daemon, server("notes.py"), keys=known) as client:

        async def status(name: str, path: str, /, **arguments: Any) -> int:
            client.headers["authorization"] = f"Bearer {keys[name][0]}"
            return (await client.post(f"/tools/{path}", json=arguments)).status_code

        assert await status("agent", "notes/list") == 200
        assert await status("agent", delete, model=CHAT) == 403
        assert await status("agent", "ollama/ollama_chat", **chat) == 403
        assert await status("one", "ollama/ollama_chat", **chat) == 200
        assert await status("one", "ollama/ollama_chat", messages=HELLO) == 403
        assert await status("one", delete, model=CHAT) == 403
        assert await status("asker", "notes/list") == 403
        assert not [one for one in daemon.requests if one.path == "/api/delete"]
        document = (await client.get("/tools/openapi.json")).status_code
        assert document == 403
        client.headers["authorization"] = f"Bearer {keys['agent'][0]}"
        paths = (await client.get("/tools/ollama/openapi.json")).json()["paths"]
        assert "/ollama_agent" in paths
        assert not {"/ollama_delete", "/ollama_chat"} & set(paths)
        assert await status("keeper", delete, model=CHAT) == 200
        client.headers["authorization"] = "Bearer nothing"
        assert (await client.post("/api/do", json={"tool": "notes:list"})).status_code == 401


async def test_a_client_that_leaves_stops_the_model(daemon: FakeOllama) -> None:
    daemon.hold("/api/chat")
    async with opened(daemon) as client:

        def asked() -> list[Any]:
            return [one for one in daemon.requests if one.path == "/api/chat"]

        body = {"model": CHAT, "messages": HELLO}
        leaving = asyncio.create_task(client.post("/tools/ollama/ollama_chat", json=body))
        await daemon.until(lambda: bool(asked()))
        leaving.cancel()
        await asyncio.wait([leaving])
        await daemon.until(lambda: asked()[0].closed_early)
        assert (await call(client, "ollama/ollama_list"))["models"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "no JSON"),
        (b"[]", "must be a JSON object"),
        (b'"\xff"', "no JSON"),
        (b'{"name": "\\ud800"}', "no JSON"),
        (b'{"name": NaN}', "no JSON"),
        (b"[" * 5000, "no JSON"),
    ],
)
async def test_a_body_that_is_no_object_is_refused(
    daemon: FakeOllama, body: bytes, words: str
) -> None:
    async with opened(daemon, server("notes.py")) as client:
        said = error_of(await client.post("/tools/notes/read", content=body))
        assert said[:2] == (400, "invalid_argument")
        assert words in said[2]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "give either tool or action"),
        ({"tool": "a:b", "action": "a:b"}, "give either tool or action"),
        ({"tool": 1}, "tool must be text"),
        ({"tool": ""}, "tool must not be empty"),
        ({"tool": "a:b", "arguments": []}, "arguments must be an object"),
        ({"tool": "a:b", "args": {}}, "unknown field args"),
        ({"tool": "a:b", "allow_destructive": "yes"}, "allow_destructive must be true or false"),
    ],
)
async def test_an_order_that_is_wrong_is_told_why(
    daemon: FakeOllama, body: dict[str, Any], words: str
) -> None:
    async with opened(daemon) as client:
        said = error_of(await do(client, **body))
        assert said[:2] == (400, "invalid_argument")
        assert words in said[2]


async def test_no_content_type_is_needed(daemon: FakeOllama) -> None:
    async with opened(daemon, server("notes.py")) as client:
        assert (await client.post("/tools/notes/list")).json() == "shopping, token"
        body = b'{"tool": "notes:list"}'
        assert (await client.post("/api/do", content=body)).json() == "shopping, token"


async def test_servers_that_are_switched_off_are_not_there(daemon: FakeOllama) -> None:
    async with opened(daemon, server("notes.py"), disable_servers=True) as client:
        assert (await refused(client, "notes/list"))[0] == 404
        assert [one["name"] for one in (await client.get("/tools")).json()["servers"]] == ["ollama"]


# What a key may do in a minute, and at a time


async def test_calls_count_against_the_rate_of_their_key(daemon: FakeOllama) -> None:
    key, kept = key_of("some", "agent", "read", "infer", requests_per_minute=3)
    async with opened(daemon, server("notes.py"), key=key, keys=[kept]) as client:
        assert await call(client, "notes/list")
        assert (await do(client, tool="ollama_list")).status_code == 200
        # one that asks a model is counted once, though it waits in the line too
        assert await call(client, "ollama/ollama_chat", model=CHAT, messages=HELLO)
        said = await client.post("/tools/notes/list")
        assert (said.status_code, said.json()["error"]["code"]) == (429, "rate_limited")
        assert int(said.headers["retry-after"]) > 0
        assert (await do(client, tool="ollama_list")).status_code == 429
        assert (await do(client, tool="ollama_chat", arguments={})).status_code != 200
        assert (await client.get("/tools")).status_code == 200  # to look costs nothing


async def test_calls_count_among_those_at_a_time(daemon: FakeOllama) -> None:
    key, kept = key_of("one", "agent", "infer", concurrency=1)
    async with opened(daemon, server("notes.py"), key=key, keys=[kept]) as client:
        body = {"model": CHAT, "messages": HELLO}
        assert await call(client, "ollama/ollama_chat", **body)
        daemon.hold("/api/chat")
        asking = asyncio.create_task(client.post("/api/chat", json=body))
        await daemon.until(lambda: len([r for r in daemon.requests if r.path == "/api/chat"]) == 2)
        for path in ("/tools/notes/list", "/tools/ollama/ollama_chat"):
            said = await client.post(path, json=body if "ollama" in path else {})
            assert (said.status_code, said.json()["error"]["code"]) == (429, "rate_limited")
        daemon.release("/api/chat")
        assert (await asking).status_code == 200
        assert await call(client, "notes/list")
