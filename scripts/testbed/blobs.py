"""The blob server beside the registry: it serves files with Range, and badly when told to.

Ollama downloads only blobs that a registry redirects to another host name, as its own one does.
"""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass(frozen=True)
class Faults:
    """What goes wrong; 0 and False mean nothing.

    rate: bytes a second, for each connection.  cut: bytes after which a connection breaks.
    flip: change the first byte of what is sent.  status: answer with this error.
    delay: seconds before an answer.
    """

    rate: float = 0
    cut: int = 0
    flip: bool = False
    status: int = 0
    delay: float = 0


class BlobServer(ThreadingHTTPServer):
    """Serves the files below `root` on a free port; `faults` may be replaced at any time."""

    daemon_threads = True

    def __init__(self, root: Path) -> None:
        """Start serving."""
        self.root = root.resolve()
        self.faults = Faults()
        super().__init__(("127.0.0.1", 0), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, args=[0.05], daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop serving."""
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: BlobServer

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        faults, root = self.server.faults, self.server.root
        time.sleep(faults.delay)
        path = root.joinpath(self.path.partition("?")[0].lstrip("/")).resolve()
        if faults.status or not path.is_file() or root not in path.parents:
            self.send_response(faults.status or 404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        size = path.stat().st_size
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        first = int(wanted[1]) if wanted else 0
        last = min(int(wanted[2]), size - 1) if wanted and wanted[2] else size - 1
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(last - first + 1))
        if wanted:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.end_headers()
        if self.command == "GET":
            try:
                self._send(path, first, last + 1 - first, faults)
            except OSError:  # the client has gone
                self.close_connection = True

    def _send(self, path: Path, first: int, length: int, faults: Faults) -> None:
        sent = 0
        with path.open("rb") as file:
            file.seek(first)
            while sent < length:
                data = file.read(min(1 << 16, length - sent))
                if faults.flip and not sent:
                    data = bytes([data[0] ^ 1]) + data[1:]
                if faults.rate:
                    time.sleep(len(data) / faults.rate)
                if faults.cut and sent + len(data) > faults.cut:
                    self.wfile.write(data[: faults.cut - sent])
                    self.close_connection = True
                    return
                self.wfile.write(data)
                sent += len(data)
