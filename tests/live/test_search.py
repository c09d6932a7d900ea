"""A folder is searched by meaning on a real model, and a long text to its last sentence."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from ollama_mcp_server.delegation.search.passages import count
from scripts.testbed import models, recorder
from tests.conftest import Caller, text
from tests.live.sessions import in_memory

pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="module")]

DOCUMENTS = {
    "bread.md": "Mix flour, water, salt and yeast, let the dough rise for an hour, then bake it.",
    "bicycle.md": "To mend a puncture, take the tyre off the wheel and glue a patch on the tube.",
    "moon.md": "The Moon goes round the Earth in 27 days and always shows it the same side.",
    "bees.md": "A hive has one queen; worker bees gather nectar and make honey from it.",
    "taxes.md": "The income tax return is due at the end of May; keep your receipts for it.",
    "violin.md": "The bow of a violin is strung with horsehair and rubbed with rosin.",
    "volcano.md": "When magma reaches the surface, a volcano erupts with lava and ash.",
    "chess.md": "A bishop moves along the diagonals; a king in check must get out of it.",
    "dentist.md": "Brush your teeth twice a day, or the dentist will find holes in them.",
    "python.py": 'def read(path):\n    """Return its lines."""\n    return open(path).readlines()',
    "ship.md": "A sailing ship cannot go straight against the wind, so it tacks to and fro.",
    "coffee.md": "Espresso is brewed by pressing hot water through finely ground coffee.",
    "penguin.md": "Emperor penguins hatch their eggs on their feet in the Antarctic winter.",
    "contract.md": "Either party may end this agreement by written notice of thirty days.",
    "football.md": "A match lasts ninety minutes; the team that scores more goals wins.",
    "desert.md": "The Sahara gets hardly any rain, and its nights can be bitterly cold.",
    "vaccine.md": "A vaccine trains the immune system to know a virus before it infects.",
    "castle.md": "The castle was built in the twelfth century, with a moat and a drawbridge.",
    "tomatoes.md": "Plant tomatoes in a sunny place, and tie the stems to a stake.",
    "airport.md": "Be at the airport two hours before departure, with your passport.",
    "sleep.md": "Adults need seven to nine hours of rest at night; screens keep them awake.",
    "printer.md": "If the printer jams, open the tray and pull the paper out slowly.",
    "ocean/whale.md": "The blue whale is the largest animal and lives on tiny krill.",
    "ocean/tide.md": "The sea rises and falls twice a day, drawn by the pull of gravity.",
    "electricity.md": "Switch off the fuse before you change a socket or a lamp.",
    "opera.md": "The soprano sings the aria in the second act, and the audience weeps.",
    "wedding.md": "The bride and the groom exchange rings, then the guests dance.",
    "glass.md": "Glass is made by melting sand with soda and lime in a furnace.",
    "train.md": "The express leaves from platform nine at half past seven every morning.",
    "server.log": "2026-11-21 10:07:01 ERROR disk full: cannot write /var/lib/data\n" * 3,
}
#: What is asked, in other words than the document's, and where the answer stands.
QUESTIONS = {
    "How do I repair a flat tire?": "bicycle.md",
    "recipe for a loaf": "bread.md",
    "How do I cancel the deal?": "contract.md",
    "What is the biggest creature in the world?": "ocean/whale.md",
    "insects that produce something sweet": "bees.md",
    "How can I protect myself from a disease?": "vaccine.md",
    "When do I have to pay the government?": "taxes.md",
    "Growing vegetables in my garden": "tomatoes.md",
    "The machine ran out of storage": "server.log",
    "code that opens a text file": "python.py",
    "marriage ceremony": "wedding.md",
    "What time should I catch my flight?": "airport.md",
}


@pytest.fixture(scope="module")
def tape(ollama_host: str) -> Iterator[recorder.Recorder]:
    with recorder.start(ollama_host) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("library")
    for name, content in DOCUMENTS.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(content)
    return root


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def caller(tape: recorder.Recorder, folder: Path) -> AsyncIterator[Caller]:
    async with in_memory(tape.url, roots=str(folder)) as caller:
        yield caller


def embedded(tape: recorder.Recorder) -> list[dict[str, Any]]:
    """Return the requests for vectors."""
    return [exchange.json for exchange in tape.exchanges if exchange.path == "/api/embed"]


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


async def search(caller: Caller, query: str, **more: Any) -> list[dict[str, Any]]:
    asked = {"model": models.EMBED, "query": query, **more}
    if "input" not in more:
        asked.setdefault("files", ["**/*"])
    result = await caller.call("ollama_embed", **asked)
    assert not result.is_error, text(result)
    assert "embeddings" not in result.structured_content
    found: list[dict[str, Any]] = result.structured_content["results"]
    for hit in found:
        assert hit["text"] in text(result)
    return found


@pytest.mark.parametrize(("query", "expected"), QUESTIONS.items())
async def test_a_question_finds_its_document(caller: Caller, query: str, expected: str) -> None:
    found = await search(caller, query, top_k=3)
    assert expected in [hit["source"] for hit in found]
    assert [hit["score"] for hit in found] == sorted((h["score"] for h in found), reverse=True)


async def test_most_questions_find_their_document_first(caller: Caller) -> None:
    first = [
        (await search(caller, query, top_k=1))[0]["source"] == expected
        for query, expected in QUESTIONS.items()
    ]
    assert sum(first) >= len(QUESTIONS) - 2


async def test_a_second_query_embeds_only_itself(caller: Caller, tape: recorder.Recorder) -> None:
    await search(caller, "something")
    before = len(embedded(tape))
    await search(caller, "something else")
    assert [body["input"] for body in embedded(tape)[before:]] == [["something else"]]


async def test_a_file_that_changed_is_embedded_anew(
    caller: Caller, tape: recorder.Recorder, folder: Path
) -> None:
    await search(caller, "something")
    before = len(embedded(tape))
    changed = "To make pancakes, fry a thin batter in butter."
    (folder / "bread.md").write_text(changed)
    try:
        (best,) = await search(caller, "How do I make crêpes?", top_k=1)
    finally:
        (folder / "bread.md").write_text(DOCUMENTS["bread.md"])
    assert (best["source"], best["text"]) == ("bread.md", changed)
    asked = [body["input"] for body in embedded(tape)[before:]]
    assert asked == [["How do I make crêpes?"], [changed]]


def story(sentences: int) -> str:
    """Return a text of many windows that ends with what is nowhere else in it."""
    middle = [
        f"On day {day} the caravan went on through the hills and camped by a well."
        for day in range(1, sentences)
    ]
    return " ".join([*middle, "Then a dragon stole the merchant's golden crown."])


async def test_a_text_of_many_windows_is_embedded_to_its_last_sentence(caller: Caller) -> None:
    told = story(400)
    assert count(told) > 20 * 256
    best, *_ = await search(caller, "Which beast took the treasure?", input=told)
    assert best["source"] == "input[0]"
    assert told[best["start"] : best["end"]] == best["text"]
    assert best["text"].endswith("Then a dragon stole the merchant's golden crown.")
    assert best["end"] == len(told)


async def test_a_long_file_is_found_by_its_lines(caller: Caller, folder: Path) -> None:
    lines = story(400).replace(". ", ".\n").split("\n")
    (folder / "story.txt").write_text("\n".join(lines))
    try:
        best, *_ = await search(caller, "Which beast took the treasure?")
    finally:
        (folder / "story.txt").unlink()
    assert best["source"] == "story.txt"
    first, last = map(int, best["lines"].split("-"))
    assert last == 400
    assert "\n".join(lines[first - 1 : last]).endswith(best["text"])


async def test_the_vectors_of_a_long_text_come_with_their_places(caller: Caller) -> None:
    told = story(60)
    result = await caller.call("ollama_embed", model=models.EMBED, input=told, vectors=True)
    said = result.structured_content
    parts = [told[part["start"] : part["end"]] for part in said["results"]]
    assert said["count"] == len(parts) == len(said["embeddings"]) > 3
    assert " ".join(parts) == told
    assert all(part.endswith(".") for part in parts)
    vectors = [json.loads(line.partition(" ")[2]) for line in text(result).splitlines()[1:]]
    assert vectors == said["embeddings"]


@pytest.mark.parametrize(
    "sample",
    [
        "TWFuIGlzIGRpc3Rpbmd1aXNoZWQsIG5vdCBvbmx5IGJ5IGhpcyByZWFzb24sIGJ1dCBieSB0aGlz" * 30,
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 " * 30,
        "Donaudampfschifffahrtsgesellschaftskapitänswitwe und Rindfleischetikettierung. " * 30,
        "人工智能是计算机科学的一个分支。它研究如何让机器像人一样思考。" * 40,
        "Съешь ещё этих мягких французских булок, да выпей чаю. " * 40,
        "🎉👩\u200d👩\u200d👧🍕" * 200,
        "ปัญญาประดิษฐ์เป็นสาขาหนึ่งของวิทยาการคอมพิวเตอร์" * 40,
    ],
    ids=["base64", "hex", "German", "Chinese", "Russian", "emoji", "Thai"],
)
async def test_no_text_is_refused_and_nothing_of_it_lost(caller: Caller, sample: str) -> None:
    result = await caller.call("ollama_embed", model=models.EMBED, input=sample, vectors=True)
    assert not result.is_error, text(result)
    said = result.structured_content
    parts = [sample[part["start"] : part["end"]] for part in said["results"]]
    assert "".join("".join(parts).split()) == "".join(sample.split())
    assert said["usage"]["prompt_tokens"] > 0


async def test_a_search_that_is_cancelled_goes_on_where_it_stopped(
    caller: Caller, tape: recorder.Recorder
) -> None:
    told = story(600)
    work = asyncio.create_task(search(caller, "beast", input=told))
    before = len(embedded(tape))
    # the query, a batch, and one under way
    await until(lambda: len(embedded(tape)) >= before + 3)
    work.cancel()
    await asyncio.wait([work])
    assert work.cancelled()
    await until(lambda: tape.exchanges[-1].abandoned)
    done = [text for body in embedded(tape)[before:-1] for text in body["input"]]
    again = len(embedded(tape))
    best, *_ = await search(caller, "beast", input=told)
    assert "dragon" in best["text"]
    asked = [text for body in embedded(tape)[again:] for text in body["input"]]
    assert set(asked) & set(done) == {"beast"}


async def test_progress_counts_passages(caller: Caller) -> None:
    told: list[tuple[float, float | None, str | None]] = []

    async def listen(value: float, total: float | None, message: str | None) -> None:
        told.append((value, total, message))

    await search(caller, "a river", input=story(500).replace("hills", "rivers"), on_progress=listen)
    assert told[-1][0] == told[-1][1]
    assert (told[-1][2] or "").startswith("embedding: ")
    assert len({message for _, _, message in told}) > 2
