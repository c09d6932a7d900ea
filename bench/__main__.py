"""Measure the server against its yardsticks, interleaved, and print medians and ratios."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from tests.fake_ollama import FakeOllama

from .calls import at_once, long_answer, own_cost
from .start import at_rest, cold_start, warm_list

#: Measurements with a table of their own; a soak takes half an hour, and is none of `all`.
TABLES = ("gateway", "batch", "peers")


def main(words: Sequence[str]) -> None:
    """Run the first table, or the measurement that is named first: `all` is every table."""
    if words[:1] == ["all"]:
        own(())
        for table in TABLES:
            print(f"\n{table}\n", flush=True)
            import_module(f"bench.{table}").main(())
    elif words and words[0] in (*TABLES, "soak"):
        import_module(f"bench.{words[0]}").main(words[1:])
    else:
        own(words)


def own(words: Sequence[str]) -> None:
    """Measure the start, the list and the calls."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=11, help="spawns of each (%(default)s)")
    parser.add_argument("--calls", type=int, default=200, help="calls of each (%(default)s)")
    given = parser.parse_args(words)
    print("| what | ours | against | ratio | budget |\n|---|---|---|---|---|")
    with FakeOllama() as daemon:
        env = {"OLLAMA_HOST": daemon.url}
        cold_start(given.runs, env)
        at_rest(env)
        warm_list(given.calls, env)
        own_cost(given.calls, env, daemon)
        at_once(given.calls // 20, env, daemon)
        long_answer(5, env, daemon)


if __name__ == "__main__":
    main(sys.argv[1:])
