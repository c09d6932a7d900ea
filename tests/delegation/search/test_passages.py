"""Long text in passages."""

from __future__ import annotations

import random

import pytest

from ollama_mcp_server.delegation.search.passages import Passage, count, cut, cut_again, fitting

SENTENCE = "The quick brown fox jumps over the lazy dog near the river bank. "
LOG = "".join(
    f"2026-11-21T10:{minute:02}:07.123Z INFO [worker-3] id=7f3a took 12ms. Status=200\n"
    for minute in range(40)
)
CODE = "".join(
    f'def f_{number}(self, key: str) -> int:\n    return self.table["{number}"][key] + {number}\n'
    for number in range(40)
)


def texts(passages: list[Passage]) -> list[str]:
    return [passage.text for passage in passages]


def tight(text: str) -> str:
    """Return a text without white space."""
    return "".join(text.split())


def check(text: str, size: int) -> list[Passage]:
    """Cut a text; nothing is lost, each passage knows its place, and none is too long."""
    found = cut(text, size, "it")
    assert tight("".join(texts(found))) == tight(text)
    for passage in found:
        assert passage.source == "it"
        assert text[passage.start : passage.end] == passage.text
        assert passage.text == passage.text.strip() != ""
        assert passage.tokens == count(passage.text) <= size
        first, last = passage.lines
        lines = text.split("\n")[first - 1 : last]
        assert passage.text.split("\n")[0] in lines[0]
        assert passage.text.split("\n")[-1] in lines[-1]
    return found


def random_text(number: int) -> str:
    """Return prose, code and rubbish in many scripts, the same for the same number."""
    dice = random.Random(number)
    pieces = [
        "word", "It is. ", "e.g. ", "Ünïcode ", "это ", "第一句。", "สวัสดี", "नमस्ते। ", "🎉",
        "\n", "\n\n", "\r\n\r\n", " \t\n  \n", "# Title\n", "=====\n", "\u2028", "\x0b", "    ",
        "if (a[i] != 0) { return b; }\n", "| a | b |\n", "- item\n", "x" * 90, "7" * 33, "…", "\0",
        " " * 50, "👩\u200d👧",
    ]  # fmt: skip
    return "".join(dice.choices(pieces, k=dice.randrange(300)))


@pytest.mark.parametrize("number", range(60))
def test_nothing_is_lost_of_any_text_in_passages_of_any_size(number: int) -> None:
    for size in (1, 2, 7, 40, 200):
        check(random_text(number), size)


@pytest.mark.parametrize("text", ["", " ", "\n\n \t\n"])
def test_a_text_of_white_space_has_no_passages(text: str) -> None:
    assert cut(text, 10) == []


def test_a_text_that_fits_is_one_passage() -> None:
    (only,) = check(f"  One.\n\nTwo.\n\n# Three\n{SENTENCE}\n", 100)
    assert (only.start, only.lines) == (2, (1, 6))


def test_paragraphs_that_fit_together_stay_together_and_whole() -> None:
    paragraphs = [SENTENCE.strip() + f" Number {number}." for number in range(9)]
    size = 2 * count(paragraphs[0]) + 5
    found = texts(check("\n\n".join(paragraphs), size))
    assert found == ["\n\n".join(paragraphs[at : at + 2]) for at in range(0, 9, 2)]


@pytest.mark.parametrize(
    "heading",
    ["# Rivers", "### Rivers ###", "Rivers\n======", "Rivers\n------", "# Water\n\n## Rivers"],
)
def test_a_heading_stays_with_what_follows(heading: str) -> None:
    size = count(SENTENCE) + 12
    found = texts(check(f"{SENTENCE}\n\n{heading}\n\n{SENTENCE}", size))
    assert found == [SENTENCE.strip(), f"{heading}\n\n{SENTENCE.strip()}"]
    # also where what follows is long
    found = texts(check(f"{SENTENCE}\n\n{heading}\n\n{SENTENCE * 5}", size))
    assert found[1] == f"{heading}\n\n{SENTENCE.strip()}"


def test_a_heading_begins_a_passage_without_a_blank_line_before_it() -> None:
    section = f"# Rivers\n{SENTENCE}\n"
    found = texts(check(section * 3, count(section) + 2))
    assert found == [section.strip()] * 3


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("He came at 5 in the morning. ", "Nobody saw him there!"),
        ("Did anyone see him at all? ", "Nobody did, it seems."),
        ("It was late… ", "Nobody saw him there."),
        ('He said "I saw nothing." ', "Nobody believed him."),
        ("他今天早上来了。", "没有人看见他！"),
        ("「誰もいない。」", "彼はそう言った。"),
        ("वह सुबह आया। ", "किसी ने नहीं देखा।"),
        ("هل رآه أحد؟ ", "لم يره أحد هناك."),
        ("Он пришёл утром. ", "Никто его не видел."),
    ],
)
def test_a_paragraph_is_cut_at_the_ends_of_sentences(first: str, second: str) -> None:
    size = max(count(first), count(second)) + 1
    assert texts(check(first + second, size)) == [first.strip(), second]


@pytest.mark.parametrize(
    "sentence",
    [
        "Fruit, e.g. apples and pears, is what Dr. Smith and J. Doe eat.",
        "Version 3.14 of example.com came out, i.e. it is there.",
    ],
)
def test_no_sentence_ends_at_an_abbreviation(sentence: str) -> None:
    assert texts(check(f"{sentence} {sentence}", count(sentence) + 3)) == [sentence] * 2


def test_wrapped_prose_is_cut_at_sentences_and_not_at_its_lines() -> None:
    wrapped = (SENTENCE * 6).replace(" jumps", "\njumps")
    for passage in check(wrapped, 50):
        assert passage.text.startswith("The quick")
        assert passage.text.endswith("bank.")


@pytest.mark.parametrize("text", [LOG, CODE, "- a thing. And more of it\n" * 40])
def test_code_logs_and_lists_are_cut_at_line_ends(text: str) -> None:
    lines = [line.strip() for line in text.splitlines()]
    found = check(text, 100)
    assert len(found) > 3
    assert [line.strip() for part in texts(found) for line in part.splitlines()] == lines


def test_a_long_sentence_is_cut_between_words_and_a_long_word_between_characters() -> None:
    words = [f"word{number}" for number in range(300)]
    found = texts(check(" ".join(words), 50))
    assert [word for part in found for word in part.split()] == words
    assert len(check("x" * 1000, 50)) == 5


def test_white_space_does_not_make_a_passage_endless() -> None:
    found = check(f"{' ' * 400}x" * 40, 50)
    assert max(len(passage.text) for passage in found) < 50 * 40


def test_lines_are_those_of_the_source() -> None:
    text = "one\n\n\ntwo\nsix\n\nfour"
    assert [passage.lines for passage in check(text, 1)] == [(1, 1), (4, 4), (5, 5), (7, 7)]
    assert [passage.lines for passage in check(text, 5)] == [(1, 1), (4, 5), (7, 7)]
    assert [passage.lines for passage in check(text, 9)] == [(1, 5), (7, 7)]


def test_what_was_refused_is_cut_again_at_its_place() -> None:
    text = f"Before.\n\n{SENTENCE * 2}\n{SENTENCE * 2}"
    whole = cut(text, count(text), "it")[0]
    parts = cut_again(whole)
    assert len(parts) == 3
    assert tight("".join(texts(parts))) == tight(text)
    for part in parts:
        assert part.tokens <= whole.tokens // 2
        assert (part.source, text[part.start : part.end]) == ("it", part.text)
    late = cut(f"\n\n{text}", count(text) + 2, "it")[0]
    assert [part.start for part in cut_again(late)] == [part.start + 2 for part in parts]
    assert [part.lines for part in cut_again(late)] == [
        (part.lines[0] + 2, part.lines[1] + 2) for part in parts
    ]


def test_cutting_again_comes_to_an_end() -> None:
    left, rounds = cut(random_text(7), 1000), 0
    while left:
        left = [part for passage in left for part in cut_again(passage)]
        rounds += 1
    assert rounds < 20


def test_the_estimate_leaves_room() -> None:
    assert fitting(256) == 192
    assert fitting(1) == 1
    assert count("abcd abcdefgh 1234\n你好!") == 1 + 2 + 2 + 1 + 3
