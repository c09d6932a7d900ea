"""One conversation: what it takes in, and how much."""

from __future__ import annotations

import pytest

from ollama_mcp_server.delegation.answer import Answer
from ollama_mcp_server.delegation.memory.conversation import MAX_BYTES, Conversation
from ollama_mcp_server.delegation.memory.conversations import NEW, Conversations
from ollama_mcp_server.errors import TooLarge
from tests.delegation.memory.turns import ANN, HELLO, HI, begun


async def test_an_answer_is_kept_with_what_it_was_given_to(kept: Conversations) -> None:
    call = {"id": "call_1", "function": {"name": "f", "arguments": {}}}
    answer = Answer(thinking="Hm.", tool_calls=[call], final={"model": "qwen3:8b"})
    async with kept.turn(NEW, ANN) as conversation:
        conversation.add([HELLO, HI, HELLO])
        conversation.take([HELLO], answer)
    found = await kept.load(conversation.handle, ANN)
    assert found.messages == [
        HELLO,
        {"role": "assistant", "content": "", "thinking": "Hm.", "tool_calls": [call]},
    ]
    assert found.model == "qwen3:8b"
    found.take([HELLO], Answer(content="Hi!"))
    assert found.messages == [HELLO, HI]


async def test_messages_come_back_as_they_were(kept: Conversations) -> None:
    call = {"function": {"name": "f", "arguments": {"z": 1, "a": {"y": 2, "b": "ü🦙"}}}}
    handle = await begun(kept, ANN, HELLO, {"role": "assistant", "tool_calls": [call]})
    found = (await kept.load(handle, ANN)).messages[1]["tool_calls"]
    assert str(found) == str([call]), "the order of arguments is the model's"


async def test_its_size_is_bounded_before_a_model_is_asked(kept: Conversations) -> None:
    handle = await begun(kept)
    picture = {**HELLO, "images": ["x" * MAX_BYTES]}
    with pytest.raises(TooLarge) as caught:
        async with kept.turn(handle, ANN) as conversation:
            conversation.add([picture])
    assert '"new"' in caught.value.hint
    assert (await kept.load(handle, ANN)).messages == [HELLO, HI]


async def test_an_answer_is_never_too_large_to_keep(kept: Conversations) -> None:
    async with kept.turn(NEW, ANN) as conversation:
        conversation.add([HELLO])
        conversation.messages.append({"role": "assistant", "content": "y" * MAX_BYTES})
    found = await kept.load(conversation.handle, ANN)
    with pytest.raises(TooLarge):
        found.add([HELLO])


def test_a_system_message_that_is_sent_each_time_is_kept_once() -> None:
    conversation, system = Conversation("conv_x", "o"), {"role": "system", "content": "Be brief."}
    conversation.add([system, HELLO])
    conversation.add([system, HELLO])
    assert conversation.messages == [system, HELLO, HELLO]


async def test_a_lone_surrogate_is_no_end_of_a_conversation(kept: Conversations) -> None:
    handle = await begun(kept, ANN, {"role": "user", "content": "broken \ud83d emoji"})
    assert (await kept.load(handle, ANN)).messages[0]["content"] == "broken \ud83d emoji"
