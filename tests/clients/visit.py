"""One visit to the server, the same for each SDK: what is called, and what must come back.

The clients (v1.mjs, v2.mjs, test_python_sdk.py) make the calls of `plan` and report; `check`
looks at the report. So a difference between clients is a difference of the clients.
"""

from __future__ import annotations

from typing import Any

JSON = dict[str, Any]

#: Endless for a test: two thousand numbers, of which the grammar lets none out. 20 s on two cores.
LONG = {"type": "array", "items": {"type": "integer"}, "minItems": 2000}
#: A later answer waits for the model that still works for an earlier one; a free one needs this.
AT_ONCE = 5_000  # milliseconds


def plan(model: str) -> JSON:
    """Return the calls: name -> [tool, arguments]."""

    def chat(text: str, tokens: int, **more: Any) -> list[Any]:
        options = {"num_predict": tokens, "num_ctx": 2048, "temperature": 0, "seed": 1}
        messages = [{"role": "user", "content": text}]
        given = {"model": model, "messages": messages, "options": options}
        return ["ollama_chat", {**given, **more}]

    return {
        "list": ["ollama_list", {}],
        "chat": chat("Tell me a story of a fox.", 40),
        "unknown_model": chat("Hello", 1, model="no-such-model"),
        "bad_arguments": ["ollama_chat", {"model": model, "messages": "Hello"}],
        "unknown_tool": ["ollama_caht", {}],
        "long": chat("Count.", 1500, format=LONG),
        "after": chat("Hello", 1),
    }


def check(report: JSON, model: str) -> None:
    """Assert that a visit went as it must."""
    names = report["tools"]
    assert {"ollama_list", "ollama_chat", "chat_completion"} <= set(names), names
    check_list(report["list"], model)
    check_chat(report["chat"])

    progress = [note["progress"] for note in report["progress"]]
    assert progress, "no progress notification arrived"
    assert progress == sorted(set(progress)), f"progress does not increase: {progress}"

    assert bad(report["unknown_model"])["code"] == "model_not_found"
    assert bad(report["bad_arguments"])["code"] == "invalid_argument"
    assert report["unknown_tool"]["code"] == -32602, report["unknown_tool"]
    assert "ollama_chat" in report["unknown_tool"]["message"], report["unknown_tool"]

    assert report["stopped"], "the long call was not aborted: it ended before"
    assert good(report["after"])["usage"]["completion_tokens"] == 1
    waited = report["after_ms"]
    assert waited < AT_ONCE, f"the aborted call held the model: the next answer took {waited} ms"


def check_list(result: JSON, model: str) -> None:
    assert model in [installed["name"] for installed in good(result)["models"]], result


def check_chat(result: JSON) -> None:
    """Assert that the whole answer is in the text, and in the object too."""
    chat = good(result)
    assert chat["content"], result
    assert chat["content"] in text(result), result
    assert 0 < chat["usage"]["completion_tokens"] <= 40, result


def good(result: JSON) -> JSON:
    assert not result.get("isError"), result
    return result["structuredContent"]


def bad(result: JSON) -> JSON:
    """Return the structured error of a result, whose message and hint the text has too."""
    assert result["isError"], result
    error = result["structuredContent"]["error"]
    assert error["message"] in text(result), result
    assert error["hint"].rstrip(".") in text(result), result
    return error


def text(result: JSON) -> str:
    return "\n".join(block["text"] for block in result["content"])
