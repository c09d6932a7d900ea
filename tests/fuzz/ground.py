"""The ground that cases fall on: files, secrets that must stay where they are, and what is harm."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

#: Secrets, by where they are kept; none may ever be seen.
SECRETS = {
    name: f"canary-{name}-7f3a91d2c4"
    for name in ("api", "token", "header", "server", "state", "openai", "environment", "file")
}
#: What no answer and no log may hold: a secret, or the inside of a program.
HARM = re.compile(
    "|".join([*SECRETS.values(), r"Traceback \(most", r" object at 0x", r"site-packages"])
)
#: What no answer may hold besides.
INSIDE = re.compile(r"pydantic|validation errors? for|<class '|File \"/|input_value=")


@dataclass
class Ground:
    """A folder that tools may read, and one beside it that they may not."""

    inside: Path
    outside: Path

    @classmethod
    def at(cls, folder: Path) -> Ground:
        """Lay it out in a folder."""
        inside, outside = folder / "inside", folder / "outside"
        inside.mkdir()
        outside.mkdir()
        (outside / "secret.txt").write_text(SECRETS["file"])
        (inside / "note.txt").write_text("The meeting is on Monday.")
        (inside / "broken.pdf").write_bytes(b"%PDF-1.7\n\0\xff broken")
        (inside / "rows.jsonl").write_text('{"text": "one"}\nnot json\n')
        (inside / "link.txt").symlink_to(outside / "secret.txt")
        (inside / "folder").mkdir()
        Image.new("RGB", (2, 2)).save(inside / "dot.png")
        return cls(inside, outside)

    @property
    def paths(self) -> list[str]:
        """Names of files: some that are right, more that are not."""
        secret = str(self.outside / "secret.txt")
        return [
            *("note.txt", "dot.png", "broken.pdf", "rows.jsonl", "*.txt", "**/*", "folder", "."),
            *(secret, "../outside/secret.txt", "link.txt", f"file://{secret}", "note.txt\0.png"),
            *("/proc/self/environ", "/etc/passwd", "~/.ssh/id_rsa", "folder/../../outside/*"),
            *("$OLLAMA_API_KEY", "https://127.0.0.1/secret", "data:image/png;base64,AAAA"),
        ]

    def variables(self, daemon: str) -> dict[str, str]:
        """Return the environment of a server that keeps every secret."""
        server = {"name": "lost", "url": "http://127.0.0.1:9/mcp", "headers": {}}
        server["headers"] = {"Authorization": f"Bearer {SECRETS['server']}"}
        return {
            "OLLAMA_HOST": daemon,
            "OLLAMA_CLOUD_BASE_URL": daemon,
            "OLLAMA_API_KEY": SECRETS["api"],
            "OLLAMA_MCP_TOOLSETS": "all",
            "OLLAMA_MCP_ROOTS": str(self.inside),
            "OLLAMA_MCP_HEADERS": json.dumps({"X-Gate": SECRETS["header"]}),
            "OLLAMA_MCP_SERVERS": json.dumps({"servers": [server]}),
            "OLLAMA_MCP_STATE_URL": f"redis://:{SECRETS['state']}@127.0.0.1:9/0",
            "OLLAMA_MCP_OPENAI_API_KEY": SECRETS["openai"],
            "OLLAMA_MCP_LOG_LEVEL": "debug",
            "FUZZ_CANARY": SECRETS["environment"],
        }


def harmless(said: str, *, answer: bool = True) -> None:
    """Fail if there is harm in what was said, in an answer or in the log."""
    found = HARM.search(said) or (INSIDE.search(said) if answer else None)
    if found:
        raise AssertionError(said[max(0, found.start() - 1500) : found.end() + 1500])
