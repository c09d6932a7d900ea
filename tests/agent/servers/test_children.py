from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import anyio
import pytest

from ollama_mcp_server.agent.servers.children import LINE, TAIL, TOLD, Child, NotStarted, find
from tests.agent.processes import OURSELVES, descriptors, is_alive, wait_until_gone

ENV = {"PATH": os.environ["PATH"]}

#: Starts two children, tells their ids and its own, and ends neither for SIGTERM nor without input.
FAMILY = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
nap = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)"
children = [subprocess.Popen([sys.executable, "-c", nap]) for _ in range(2)]
print(os.getpid(), *(child.pid for child in children), flush=True)
time.sleep(1000)
"""
#: A process that starts such a server by our means, tells the ids, and then does what it is told.
PARENT = """
import asyncio, os, sys
from ollama_mcp_server.agent.servers.children import Child

async def main():
    child = await Child.start(sys.executable, ["-c", sys.argv[1]], dict(os.environ), None)
    sys.stdout.write(f"{child.group} {(await child.stdout.readline()).decode()}")
    sys.stdout.flush()
    if sys.argv[2] == "stay":
        await asyncio.sleep(1000)
    if sys.argv[2] == "vanish":
        os._exit(0)

asyncio.run(main())
"""


async def python(code: str, *args: str) -> Child:
    return await Child.start(sys.executable, ["-c", code, *args], ENV, None)


async def pids_of(child: Child) -> list[int]:
    return [child.group, *map(int, (await child.stdout.readline()).split())]


async def test_a_server_is_read_and_written_to() -> None:
    child = await python("print(input()[::-1])")
    child.stdin.write(b"olleh\n")
    assert await child.stdout.readline() == b"hello\n"
    await child.exited.wait()
    assert child.status == 0
    await child.end()


async def test_it_runs_in_a_session_and_a_group_of_its_own() -> None:
    child = await python("import os; print(os.getpid(), os.getpgid(0), os.getsid(0)); input()")
    pid, group, session = map(int, (await child.stdout.readline()).split())
    assert pid != group == session == child.group != os.getpgid(0)
    await child.end()
    assert not is_alive(pid)


async def test_it_gets_the_signals_that_programs_expect() -> None:
    code = """
import signal
odd = [one for one in signal.valid_signals() if signal.getsignal(one) == signal.SIG_IGN]
print(sorted(odd))
"""
    child = await python(code)
    plain = await asyncio.to_thread(subprocess.check_output, [sys.executable, "-c", code])
    assert await child.stdout.readline() == plain
    await child.end()


async def test_it_inherits_no_descriptor_of_ours() -> None:
    code = "import os; print(len([one for one in range(200) if os.path.exists(f'/dev/fd/{one}')]))"
    ours = os.open(os.devnull, os.O_RDONLY)
    try:
        child = await python(code)
        assert int(await child.stdout.readline()) == 3
        await child.end()
    finally:
        os.close(ours)


async def test_the_end_of_its_input_ends_a_polite_server() -> None:
    child = await python("import sys; sys.stdin.read(); sys.stderr.write('bye'); sys.exit(5)")
    await child.end()
    assert child.status == 5
    assert await child.said() == "bye"


async def test_sigterm_ends_one_that_ignores_its_input() -> None:
    child = await python(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(6))\n"
        "print(flush=True); time.sleep(1000)"
    )
    await child.stdout.readline()
    await child.end(0.2)
    assert child.status == 6


async def test_all_of_a_family_end_that_ignores_everything() -> None:
    child = await python(FAMILY)
    pids = await pids_of(child)
    assert all(map(is_alive, pids))
    await asyncio.gather(child.end(0.2), child.end(0.2))
    assert wait_until_gone(pids, 1) == []


async def test_what_a_dead_server_left_behind_is_ended_too() -> None:
    child = await python(FAMILY)
    supervisor, server, *strays = await pids_of(child)
    os.kill(server, signal.SIGKILL)
    await child.exited.wait()
    assert child.status == 128 + signal.SIGKILL
    assert all(map(is_alive, strays))
    await child.end(0.2)
    assert wait_until_gone([supervisor, server, *strays], 1) == []


async def test_an_end_is_brought_to_its_end_when_cancelled() -> None:
    child = await python(FAMILY)
    pids = await pids_of(child)
    with anyio.move_on_after(0.05):
        await child.end(0.2)
    assert wait_until_gone(pids, 1) == []


@pytest.mark.parametrize("way", ["stay", "vanish", "return"])
def test_nothing_outlives_our_process(way: str) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, FAMILY, way],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=OURSELVES,
    )
    assert parent.stdout
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 4
    if way == "stay":
        assert all(map(is_alive, pids))
        parent.kill()
    parent.wait(20)
    parent.stdout.close()
    assert wait_until_gone(pids) == []


async def test_a_start_that_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    code = f"import os; open(r'{tmp_path}/' + str(os.getpid()), 'w'); import time; time.sleep(1000)"
    for microseconds in range(0, 20_000, 1_000):
        with anyio.move_on_after(microseconds / 1_000_000) as scope:
            child = await python(code)
        if not scope.cancelled_caught:
            await child.end(0.1)
    await asyncio.sleep(0.3)
    assert wait_until_gone(map(int, os.listdir(tmp_path)), 5) == []  # noqa: PTH208


async def test_nothing_is_left_open_after_many() -> None:
    for _ in range(3):
        await (await python("input()")).end()
    await asyncio.sleep(0.1)
    before, threads = descriptors(), threading.active_count()
    for _ in range(20):
        await (await python("input()")).end()
    await asyncio.sleep(0.1)
    assert descriptors() <= before
    assert threading.active_count() <= threads


async def test_only_the_end_of_what_it_says_on_stderr_is_kept() -> None:
    child = await python(
        "import sys\n"
        "for number in range(200_000): sys.stderr.write(f'line {number}\\n')\n"
        "sys.stderr.write('x' * 3 * 1024 * 1024 + '\\nlast words')"
    )
    await child.exited.wait()
    said = await child.said()
    assert said.endswith("last words")
    assert len(said) <= TAIL
    assert len(said.splitlines()) <= TOLD
    await child.end()


async def test_a_line_without_an_end_is_not_kept_for_ever() -> None:
    child = await python("import os\nwhile True: os.write(1, b'x' * 65536)")
    with pytest.raises(ValueError, match="limit"):
        while await child.stdout.readline():
            pass
    assert len(child.stdout._buffer) <= 2 * LINE + 2**20
    await child.end(0.1)


class TestFinding:
    def test_a_program_is_looked_for_on_the_path_that_it_will_have(self, tmp_path: Path) -> None:
        program = tmp_path / "own"
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        assert find("own", {"PATH": str(tmp_path)}, None) == str(program)
        assert find("./own", {"PATH": ""}, tmp_path) == str(program)
        with pytest.raises(NotStarted, match='no program "own" on PATH'):
            find("own", ENV, None)

    @pytest.mark.parametrize("command", ["./absent", "/nowhere/absent"])
    def test_a_file_that_is_not_there_is_named(self, command: str, tmp_path: Path) -> None:
        with pytest.raises(NotStarted, match=r"no executable file .*absent"):
            find(command, ENV, tmp_path)

    def test_a_file_must_be_executable(self, tmp_path: Path) -> None:
        (tmp_path / "text").write_text("hello")
        with pytest.raises(NotStarted, match="no executable file"):
            find("./text", ENV, tmp_path)

    def test_a_folder_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(NotStarted, match=r"no folder .*absent"):
            find(sys.executable, ENV, tmp_path / "absent")

    async def test_what_the_system_cannot_run_says_so(self, tmp_path: Path) -> None:
        program = tmp_path / "broken"
        program.write_text("no interpreter line")
        program.chmod(0o755)
        child = await Child.start(str(program), [], ENV, tmp_path)
        await child.exited.wait()
        assert child.status == 126
        assert await child.said() == f"cannot run {program}: Exec format error"
        await child.end()
