"""The clock of the server is set, forward and back, while it works (libfaketime)."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.testbed import cache, models, packages
from scripts.testbed.cache import locked
from tests.proof.faults.conftest import told
from tests.proof.faults.scene import STORY, Scene
from tests.wire import Stdio

pytestmark = pytest.mark.live

DAY = 86_400
Jumping = tuple[Scene, Callable[[int], object]]
#: By how many seconds the clock is set.
JUMPS = (DAY, -DAY, 400 * DAY)


def library(folder: Path) -> Path:
    """Return the library that tells a process another time, fetching it the first time."""
    target = folder / "faketime" / "libfaketime.so.1"
    with locked(folder):
        if not target.exists():
            member = f"usr/lib/{platform.machine()}-linux-gnu/faketime/libfaketime.so.1"
            packages.take_from_deb("libfaketime", member, target, folder)
    return target


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("clock") / "offset"
    file.write_text("+0")
    return file


@pytest.fixture(scope="module")
def server(clock: Path, wire: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stdio]:
    around = {
        "LD_PRELOAD": str(library(cache.folder())),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with Stdio(tmp_path_factory.mktemp("timeless"), **told(wire.url, **around)) as running:
        yield running


@pytest.fixture
def jumping(scene: Scene, server: Stdio, clock: Path) -> Iterator[Jumping]:
    """The scene with that server, and what sets its clock."""
    found = Scene(server, server, scene.ollama, scene.wire, scene.figures)
    found.begin()
    yield found, lambda by: clock.write_text(f"{by:+d}")
    clock.write_text("+0")
    found.end()


@pytest.mark.parametrize("by", JUMPS)
def test_a_limit_is_neither_early_nor_late(jumping: Jumping, by: int) -> None:
    scene, set_clock = jumping
    call = scene.peer.start("ollama_generate", {**STORY, "timeout": 3000})
    began = time.monotonic()
    call.until("writing")
    scene.wire.fault("timeout", timeout=0)
    set_clock(by)
    scene.error("timeout", call, within=20)
    scene.figures["seconds"] = round(time.monotonic() - began, 2)
    assert time.monotonic() - began > 2.5


@pytest.mark.parametrize("by", JUMPS)
def test_what_is_kept_is_still_there(jumping: Jumping, by: int) -> None:
    scene, set_clock = jumping
    chat = {
        "model": models.CHAT,
        "messages": [{"role": "user", "content": "Hi"}],
        "options": {"num_predict": 2},
    }
    first = scene.peer.call("ollama_chat", conversation="new", **chat)["structuredContent"]
    set_clock(by)
    again = scene.peer.call("ollama_chat", conversation=first["conversation"], **chat)
    scene.figures |= {"error": again["structuredContent"].get("error", {}).get("code", "none")}
    assert by == JUMPS[2] or not again.get("isError"), again
    for _ in range(3):
        scene.works()


def test_the_clock_is_really_set(jumping: Jumping) -> None:
    scene, set_clock = jumping
    told = []
    for by in (0, DAY):
        set_clock(by)
        body = {"model": models.CHAT, "messages": [{"role": "user", "content": "Hi"}]}
        answer = scene.peer.call("chat_completion", max_tokens=1, **body)["structuredContent"]
        told.append(answer["created"])
    scene.figures |= {"error": "none"}
    assert DAY - 60 < told[1] - told[0] < DAY + 60
