"""What the tools make of bad input with a real daemon, whose words are its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.testbed import cache, daemon
from scripts.testbed.models import CHAT, EMBED, INSERT, THINK, TOOLS, VISION
from tests.fuzz.arguments import GOOD, arguments
from tests.fuzz.cases import Tally, cases
from tests.fuzz.ground import Ground
from tests.fuzz.test_tools import House, opened

#: Tools that leave the daemon's library as it is, which other tests use too.
ASKING = [
    *("ollama_agent", "ollama_batch", "ollama_chat", "chat_completion", "ollama_embed"),
    *("ollama_generate", "ollama_list", "ollama_show", "ollama_ps", "ollama_load"),
]
#: Milliseconds that a call may take the model.
TIMEOUT = 5000
#: Tools that take the argument `timeout`.
TIMED = {"ollama_chat", "chat_completion", "ollama_generate", "ollama_batch", "ollama_agent"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    ground = Ground.at(tmp_path_factory.mktemp("ground"))
    with daemon.start(cache.folder()) as ours, opened(ours.url, ground) as house:
        yield house


@pytest.mark.timeout(900)
def test_whatever_they_are_given_tools_answer_in_our_words(
    house: House, record_property: Callable[[str, object], None]
) -> None:
    models = st.sampled_from([CHAT, CHAT, TOOLS, THINK, INSERT, VISION, EMBED])
    sense, good, tally = {**house.sense, "model": models}, {**GOOD, "model": models}, Tally()

    @cases(200, share=0)
    @given(st.data())
    def tried(data: st.DataObject) -> None:
        tool = data.draw(st.sampled_from(ASKING))
        given = data.draw(arguments(house.tools[tool].input_schema, sense, good), label=tool)
        if tool in TIMED:
            given = {"timeout": TIMEOUT, **given}
        tally.count(house.call(tool, given))

    tried()
    house.still_serves()
    tally.record(record_property)
