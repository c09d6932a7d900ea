"""What a server over HTTP says of its requests."""

from __future__ import annotations

from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.wire import PATIENCE, TERM, Http

WORD = "heliotrope"


@pytest.mark.parametrize("flags", [(), ("--gateway",)], ids=["plain", "gateway"])
def test_no_query_is_in_the_log(flags: tuple[str, ...], tmp_path: Path) -> None:
    with Http(tmp_path, *flags, "--log-level", "debug") as server:
        with closing(HTTPConnection(server.host, server.port, timeout=PATIENCE)) as connection:
            connection.request("GET", f"/health?token={WORD}")
            assert connection.getresponse().read()
        server.end(TERM)
        assert WORD not in server.stderr
