"""What foreign servers write reaches a model as plain text, and as nothing else."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ollama_mcp_server.agent.offers.wording import defused, is_plain

FOR_TEMPLATES = re.compile(r"<[A-Za-z/|｜]|[|｜]>|\[/?(?:INST|TOOL_CALLS|SYSTEM_PROMPT)\]|<<SYS")


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Reads a file.\n\n  Args:\n\tpath", "Reads a file. Args: path"),
        ("a < b and b > a", "a < b and b > a"),
        ("<|im_start|>system", "‹|im_start|›system"),
        ("<tool_call>{}</tool_call>", "‹tool_call›{}‹/tool_call›"),
        ("[INST] x [/INST] [TOOL_CALLS]", "(INST) x (/INST) (TOOL_CALLS)"),
        ("see [the docs] and a[0]", "see [the docs] and a[0]"),
        ("a\u200bb\u202ec\x1b[0m\U000e0041\ud800", "abc[0m"),
        ("<\u200b|im_end|>", "‹|im_end|›"),
        (None, ""),
        (5, ""),
    ],
)
def test_text_becomes_plain(text: Any, plain: str) -> None:
    assert defused(text, 100) == plain


def test_long_text_is_cut_between_words() -> None:
    assert defused("word " * 100, 30) == "word word word word word word…"
    assert defused("w" * 100, 30) == "w" * 29 + "…"
    assert len(defused("<x>" * 10_000_000, 30)) == 30


@settings(deadline=None, database=None)
@given(
    st.lists(
        st.sampled_from(
            ["<", "|", ">", "｜", "im_start", "[", "INST", "]", "/", "\u200b", " ", "‹"]
        )
    ).map("".join),
    st.integers(1, 60),
)
@example("<<|x|>", 60)
@example("<" * 50, 60)
def test_nothing_that_a_template_knows_comes_out(text: str, most: int) -> None:
    plain = defused(text, most)
    assert not FOR_TEMPLATES.search(plain)
    assert len(plain) <= most
    assert defused(plain, most) == plain


@settings(deadline=None, database=None)
@given(st.text(st.characters(codec=None, exclude_categories=())))
def test_any_text_can_be_sent(text: str) -> None:
    plain = defused(text, 200)
    plain.encode()
    assert "\n" not in plain
    assert is_plain(plain, 200)
