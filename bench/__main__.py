"""Measure the server against its yardsticks, interleaved, and print medians and ratios."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

from tests.fake_ollama import FakeOllama

from .calls import at_once, long_answer, own_cost
from .start import at_rest, cold_start, warm_list


def main() -> None:
    """Run every measurement and print a table; `gateway`, `batch`, `peers`, `soak` run those."""
    if sys.argv[1:2] in (["gateway"], ["batch"], ["peers"], ["soak"]):
        import_module(f"bench.{sys.argv[1]}").main(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=11, help="spawns of each (%(default)s)")
    parser.add_argument("--calls", type=int, default=200, help="calls of each (%(default)s)")
    given = parser.parse_args()
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
    main()
