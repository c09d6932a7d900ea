"""What long runs write down."""

from pathlib import Path

import pytest

from scripts.proof import faults, fuzz, page

FAULTS = """<testsuite>
<testcase classname="tests.proof.faults.test_wire" name="test_a_cut[stdio]"><properties>
<property name="figures" value='{"error": "daemon_error", "seconds": 0.5, "sockets": [3, 3]}'/>
<property name="way" value="stdio"/></properties></testcase>
<testcase classname="tests.proof.faults.test_wire" name="test_a_cut[http]"><properties>
<property name="figures" value='{"error": "none", "seconds": 0.25, "sockets": [3, 5]}'/>
<property name="way" value="http"/></properties></testcase>
</testsuite>"""
FUZZ = """<testsuite>
<testcase classname="tests.fuzz.test_tools" name="one"><properties>
<property name="fuzz.seed" value="7"/><property name="fuzz.cases" value="1200"/>
<property name="fuzz.answered" value="200"/><property name="fuzz.refused" value="1000"/>
<property name="fuzz.error" value="0"/></properties></testcase>
<testcase classname="tests.fuzz.test_tools" name="two"><properties>
<property name="fuzz.seed" value="7"/><property name="fuzz.cases" value="300"/>
<property name="fuzz.answered" value="0"/><property name="fuzz.refused" value="300"/>
<property name="fuzz.error" value="0"/></properties></testcase>
<testcase classname="tests.fuzz.test_tools" name="without figures"/>
</testsuite>"""


def test_the_worst_of_all_ways_of_a_fault_counts(tmp_path: Path) -> None:
    report = tmp_path / "faults.xml"
    report.write_text(FAULTS)
    row = faults.table(report).splitlines()[-1]
    assert row == "| a cut | 2 | `daemon_error`, its answer | 0.25–0.5 |  | 3 → 5 |  |"


def test_cases_are_added_up_by_file(tmp_path: Path) -> None:
    report = tmp_path / "fuzz.xml"
    report.write_text(FUZZ)
    lines = fuzz.table(report).splitlines()
    assert lines[2] == "| `test_tools` | 1,500 | 200 | 1,300 | 0 |"
    assert lines[-1] == "Seed: 7."


def test_figures_take_the_place_of_those_before(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text("a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n")
    for _ in range(2):
        page.write("x", "| new |\n", file)
    text = file.read_text()
    assert text.startswith("a\n<!-- x: begin -->\n| new |\n\nMeasured 20")
    assert text.endswith("\n<!-- x: end -->\nb\n")
    assert text.count("| new |") == 1
    with pytest.raises(ValueError, match="no place for y"):
        page.write("y", "", file)


@pytest.mark.parametrize("name", ["faults", "fuzz", "soak"])
def test_the_page_has_a_place_for_each_part(name: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy.md"
    copy.write_text(page.PAGE.read_text())
    page.write(name, "figures", copy)
    assert "figures\n\nMeasured" in copy.read_text()
