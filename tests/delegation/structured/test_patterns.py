"""Regular expressions: which the grammar can hold, and which match quickly."""

from __future__ import annotations

import pytest

from ollama_mcp_server.delegation.structured.patterns import held_pattern, is_quick


@pytest.mark.parametrize(
    ("pattern", "held"),
    [
        (r"^[A-Z]{2}-\d{4}$", "^[A-Z]{2}-[0-9]{4}$"),
        (r"^\w+$", "^[A-Za-z0-9_]+$"),
        (r"^a\.b\-c\/d$", r"^a\.b-c/d$"),
        (r"^(?:yes|no)?$", "^(?:yes|no)?$"),
        (r"^[a\-z]$", "^[az-]$"),
        (r"^[\w.]+@[a-z-]+$", "^[A-Za-z0-9_.]+@[a-z-]+$"),
        (r"^(a(b|c)+)*d$", "^(a(b|c)+)*d$"),
        ("^$", "^$"),
    ],
)
def test_plain_patterns_are_held(pattern: str, held: str) -> None:
    assert held_pattern(pattern) == held


@pytest.mark.parametrize(
    "pattern",
    [
        "a",
        "^a",
        "a$",
        "",
        "^",
        "^a\\$",
        "^.*$",
        "^[^a]$",
        '^"$',
        "^\\\\$",
        "^a|b$",
        "^(?=a)a$",
        "^a+?$",
        "^a++$",
        "^(a$",
        "^a)$",
        "^()$",
        "^(|a)$",
        "^*a$",
        "^(*a)$",
        "^a{300}$",
        "^a{,2}$",
        "^é$",
        "^\\s$",
        "^\\bа$",
        "^[A-z]$",
        "^[ -~]$",
        "^[+-.]$",
        "^[a-z&&b]$$",
        "^a^b$",
        "^\\p{L}$",
        "^(a)\\1$",
        "^" + "a" * 300 + "$",
    ],
)
def test_other_patterns_are_left_to_the_check(pattern: str) -> None:
    assert held_pattern(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "quick"),
    [
        (r"^[A-Z]{2}-\d{4}$", True),
        (r"^\d+\.\d+$", True),
        (r"^(a|b)$", True),
        (r"^[(+]+$", True),
        (r"^(a+)+$", False),
        (r"^(a|a)*$", False),
        (r"^(a|ab){1,50}$", False),
        (r"^a*a*a*a*$", False),
        (r"a+b+c+", False),
        (r"^(a+)\1$", False),
    ],
)
def test_what_may_backtrack_is_not_quick(pattern: str, quick: bool) -> None:
    assert is_quick(pattern, 1000) is quick
