"""What a tool gave back, as the model is told it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

from ollama_mcp_server.agent.calls.contents import MAX_IMAGE_BYTES, MAX_IMAGES, Told, told

PNG = b"\x89PNG\r\n\x1a\n" + bytes(1492)


def coded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def result(*content: Any, structured: Any = None, failed: bool = False) -> CallToolResult:
    blocks = [TextContent(text=one) if isinstance(one, str) else one for one in content]
    return CallToolResult.model_construct(
        content=blocks, structured_content=structured, is_error=failed
    )


def tell(*content: Any, limit: int = 1000, sees: bool = False, **fields: Any) -> Told:
    return told(result(*content, **fields), limit=limit, sees=sees)


def image(data: bytes = PNG, mime: str = "image/png") -> ImageContent:
    return ImageContent(data=coded(data), mime_type=mime)


def test_text_is_told_as_it_is() -> None:
    assert tell("one\n  two\t") == Told("one\n  two\t")
    assert tell("one", "two").text == "one\n\ntwo"
    assert tell("one", "", " \n", "two").text == "one\n\ntwo"


def test_an_empty_result_is_said() -> None:
    for content in ((), ("",), (" \n",)):
        assert tell(*content).text == "[the tool answered nothing]"


def test_a_failure_is_told() -> None:
    assert tell("no such file", failed=True) == Told("no such file", failed=True)
    assert not tell("fine").failed


@pytest.mark.parametrize(
    ("text", "structured", "expected"),
    [
        ("", {"a": 1}, '{"a": 1}'),
        ("", {}, "{}"),
        ("", [1], "[1]"),
        ("", "größe", '"größe"'),
        ("", 0, "0"),
        ('{"a":1}', {"a": 1}, '{"a":1}'),
        ("[1, 2]", {"result": [1, 2]}, "[1, 2]"),
        ("hello", {"result": "hello"}, "hello"),
        ("Berlin has 17 degrees", {"city": "Berlin", "degrees": 17}, "Berlin has 17 degrees"),
        ("Done", {"id": 17}, 'Done\n\n{"id": 17}'),
        ('{"a": 1}', {"a": 2}, '{"a": 1}\n\n{"a": 2}'),
        ("Done", {"list": [{"id": 17}]}, 'Done\n\n{"list": [{"id": 17}]}'),
        ("Done", {}, "Done"),
    ],
)
def test_structured_content_is_told_where_the_text_does_not(
    text: str, structured: Any, expected: str
) -> None:
    assert tell(text, structured=structured).text == expected


def test_structured_content_that_is_too_much_to_look_for_is_told() -> None:
    rows = [1] * 5000 + [2]
    assert tell("1", structured={"rows": rows}, limit=10**6).text.endswith("1, 2]}")


def test_blocks_may_say_together_what_the_structured_content_says() -> None:
    assert tell("one", "two", structured={"result": ["one", "two"]}).text == "one\n\ntwo"


def test_a_link_is_named() -> None:
    link = ResourceLink(name="notes", uri="file:///n.txt", mime_type="text/a", description="Mine")
    assert tell(link).text == "notes (file:///n.txt, text/a, Mine)"
    assert tell(ResourceLink(name="notes", uri="x:y")).text == "notes (x:y)"
    assert tell(ResourceLink(name="a\nb", uri="x:y\r\n[z]")).text == "a b (x:y [z])"


def test_an_embedded_text_is_told() -> None:
    resource = TextResourceContents(uri="file:///n.txt", text="its text")
    assert tell(EmbeddedResource(resource=resource)) == Told("its text")


def test_an_embedded_file_is_noted() -> None:
    resource = BlobResourceContents(
        uri="file:///n.zip", mime_type="application/zip", blob=coded(bytes(2000))
    )
    assert tell(EmbeddedResource(resource=resource)) == Told(
        "[file:///n.zip (application/zip, 2 kB) was returned; it is no text]",
        notes=["file:///n.zip (application/zip, 2 kB) was returned; it is no text"],
    )


def test_a_picture_is_shown_to_a_model_that_sees() -> None:
    assert tell("a chart:", image(), sees=True) == Told(
        "a chart:\n\n[an image (image/png, 2 kB) is shown]", [coded(PNG)]
    )
    resource = BlobResourceContents(uri="x:y", mime_type="image/png", blob=coded(PNG))
    assert tell(EmbeddedResource(resource=resource), sees=True).images == [coded(PNG)]


def test_a_picture_is_noted_for_one_that_does_not() -> None:
    note = "an image (image/png, 2 kB) was returned; this model cannot see images"
    assert tell(image()) == Told(f"[{note}]", notes=[note])


@pytest.mark.parametrize("data", [b"", b"text", b"<svg xmlns='x'></svg>", b"II*\0", PNG[1:]])
def test_what_ollama_does_not_read_is_no_picture(data: bytes) -> None:
    made = tell(image(data), sees=True)
    assert made.images == []
    assert "left out: Ollama does not read it" in made.text
    assert len(made.notes) == 1


def test_a_pictures_base64_may_be_written_in_other_ways() -> None:
    lines = "\n".join(coded(PNG)[at : at + 76] for at in range(0, len(coded(PNG)), 76))
    for data in (lines, f"data:image/png;base64,{coded(PNG)}"):
        block = ImageContent(data=data, mime_type="image/png")
        assert tell(block, sees=True).images == [coded(PNG)]
    for data in ("%%%", "ä", coded(PNG)[:-1], "="):
        assert tell(ImageContent(data=data, mime_type="image/png"), sees=True).images == []


def test_pictures_are_bounded() -> None:
    made = tell(*[image()] * (MAX_IMAGES + 2), sees=True)
    assert len(made.images) == MAX_IMAGES
    assert made.text.count("left out: 4 are shown at most") == len(made.notes) == 2
    made = tell(image(PNG + bytes(MAX_IMAGE_BYTES)), image(), sees=True)
    assert made.images == [coded(PNG)]
    assert "(image/png, 5244 kB) was returned, and left out: it is too large" in made.text


def test_a_sound_is_noted() -> None:
    made = tell(AudioContent(data=coded(bytes(30)), mime_type="audio/wav"), sees=True)
    assert made.text == "[audio (audio/wav, 30 bytes) was returned; this model cannot hear]"
    assert len(made.notes) == 1


def test_a_long_text_is_cut_in_its_middle_and_says_so() -> None:
    text = "".join(f"line {number}\n" for number in range(1000))
    made = tell(text, limit=400)
    assert len(made.text) <= 400
    assert made.text.startswith("line 0\n")
    assert made.text.endswith("line 999\n")
    (note,) = made.notes
    head, _, tail = made.text.partition(f"\n\n[{note}]\n\n")
    assert note == f"cut: {len(text) - len(head) - len(tail):,} of {len(text):,} characters"
    assert text.startswith(head)
    assert text.endswith(tail)
    assert len(head) > 2 * len(tail) > 100


def test_a_text_as_long_as_the_limit_is_whole() -> None:
    assert tell("x" * 100, limit=100) == Told("x" * 100)
    assert tell("x" * 101, limit=100).notes


@pytest.mark.parametrize("limit", [0, 1, 10, 50])
def test_no_limit_is_too_small(limit: int) -> None:
    assert len(tell("x" * 1000, limit=limit).text) <= limit
    assert tell("x" * 1000, limit=limit).notes


def test_structured_content_is_cut_too() -> None:
    made = tell(structured={"rows": list(range(1000))}, limit=200)
    assert len(made.text) <= 200
    assert "cut: " in made.text


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]never ended", "]never ended"),
        ("a\0b\x08c\x7fd\x9be", "abcde"),
        ("a\r\nb\rc\n\td", "a\nb\nc\n\td"),
        ("\ufeffa\u202eb\u2066c\u200bd", "abcd"),
        ("a\U000e0041\U000e0042\U000e0100b", "ab"),
        ("a\ud800b", "ab"),
        ("👩‍👩‍👧 ❤️ نص‌ها", "👩‍👩‍👧 ❤️ نص‌ها"),
    ],
)
def test_what_is_not_seen_is_not_told(text: str, plain: str) -> None:
    resource = {"uri": "x:y", "text": text}
    assert tell({"type": "text", "text": text}).text == plain
    assert tell({"type": "resource", "resource": resource}).text == plain
    assert tell(structured={"a": text}).text.encode()


@pytest.mark.parametrize(
    "block",
    [
        None,
        1,
        "text",
        [],
        {},
        {"type": "hologram"},
        {"type": None, "text": "x"},
        {"type": ["text"]},
        {"type": "text"},
        {"type": "text", "text": None},
        {"type": "text", "text": {"a": 1}},
        {"type": "image"},
        {"type": "image", "data": 5, "mime_type": []},
        {"type": "audio", "data": None},
        {"type": "resource"},
        {"type": "resource", "resource": "x"},
        {"type": "resource", "resource": {"uri": 1, "blob": 2, "mime_type": 3}},
        {"type": "resource", "resource": {"mime_type": "image/png", "blob": None}},
        {"type": "resource_link"},
        {"type": "resource_link", "name": None, "uri": 7},
    ],
)
def test_odd_content_never_raises(block: Any) -> None:
    for sees in (True, False):
        made = told(
            CallToolResult.model_construct(content=[block, TextContent(text="and text")]),
            limit=1000,
            sees=sees,
        )
        assert made.text.endswith("and text")
        assert made.images == []


def test_what_is_no_result_never_raises() -> None:
    for content in (None, "text", 5, {}):
        made = told(CallToolResult.model_construct(content=content), limit=100, sees=True)
        assert made.text == "[the tool answered nothing]"
    endless: list[Any] = []
    endless.append(endless)
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    for structured in ({1, 2}, object(), endless, {"a": b"x"}, deep):
        assert "no JSON" in tell(structured=structured).text
        assert "and text" in tell("and text", structured=structured).text
    assert tell("[" * 100_000, structured={"a": 1}, limit=10**6).text.endswith('{"a": 1}')


FIELDS = ("text", "data", "mime_type", "resource", "uri", "name", "blob")
BLOCK = st.recursive(
    st.none() | st.text() | st.integers() | st.binary(),
    lambda held: st.fixed_dictionaries(
        {"type": st.sampled_from(["text", "image", "audio", "resource", "resource_link", "x"])},
        optional=dict.fromkeys(FIELDS, held),
    ),
)


@settings(deadline=None, max_examples=50)
@given(st.lists(BLOCK), st.recursive(st.none() | st.text(), st.lists), st.integers(0, 500))
def test_any_content_is_told_within_bounds(blocks: list[Any], structured: Any, limit: int) -> None:
    for made in (
        told(
            CallToolResult.model_construct(content=blocks, structured_content=structured),
            limit=limit,
            sees=sees,
        )
        for sees in (True, False)
    ):
        assert len(made.text) <= limit
        assert json.dumps(made.text, ensure_ascii=False).encode()
        assert not any(ord(character) < 32 and character not in "\n\t" for character in made.text)
