"""Run the proofs, one after the other, and write what came of them into docs/reliability.md."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from . import faults, fuzz
from .page import ROOT, write

#: Where the reports of the runs are.
REPORTS = ROOT / "build" / "proof"
#: Made-up cases of a run against the scripted daemon.
CASES = 10_000
BED = ("-m", "scripts.testbed", "run", "--private", "--", sys.executable)


def main() -> int:
    """Run what the command line names, or all; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m scripts.proof", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; default all")
    wanted = parser.parse_args().parts or list(PARTS)
    if unknown := set(wanted) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    REPORTS.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in wanted:
        print(f"--- {name}", flush=True)
        if not PARTS[name]():
            failed.append(name)
    print(f"failed: {', '.join(failed)}" if failed else "all proofs held")
    return int(bool(failed))


def run(words: Sequence[str | Path], **variables: str) -> bool:
    """Run Python with these words; return whether it went well."""
    around = {**os.environ, **variables}
    return (
        subprocess.run([sys.executable, *words], cwd=ROOT, env=around, check=False).returncode == 0
    )


def tried(report: Path, *words: str, bed: bool = True, **variables: str) -> bool:
    """Run tests, and keep their report."""
    start = BED if bed else ()
    way = ("-m", "pytest", "-q", "-o", "junit_family=xunit1", f"--junitxml={report}")
    return run([*start, *way, *words], **variables)


def _faults() -> bool:
    report = REPORTS / "faults.xml"
    good = tried(report, "tests/proof/faults", "-n", "2", "--dist", "loadfile")
    if good:
        write("faults", faults.table(report))
    return good


def _fuzz() -> bool:
    scripted, real = REPORTS / "fuzz.xml", REPORTS / "fuzz-real.xml"
    words = ("tests/fuzz", "tests/gateway/test_documents.py", "--timeout=1800", "-n", "2")
    good = tried(scripted, *words, bed=False, FUZZ_CASES=str(CASES))
    good &= tried(real, "tests/proof/fuzz", "--timeout=900")
    if good:
        write("fuzz", fuzz.table(scripted, real))
    return good


def _soak() -> bool:
    words = [sys.executable, *BED, "-m", "bench", "soak"]
    ran = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    print(ran.stdout)
    if ran.returncode == 0:
        write("soak", ran.stdout)
    return ran.returncode == 0


PARTS: dict[str, Callable[[], bool]] = {
    "faults": _faults,
    "fuzz": _fuzz,
    "proxies": lambda: tried(REPORTS / "proxies.xml", "tests/proof/proxies"),
    "deployment": lambda: run(["-m", "scripts.deploy"]),
    "scale": lambda: run(["-m", "scripts.scale", "--write"]),
    "soak": _soak,
}


if __name__ == "__main__":
    sys.exit(main())
