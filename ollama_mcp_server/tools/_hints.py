"""The four annotations of a tool, as presets (each tool states them all), and its tags."""

from mcp_types import ToolAnnotations


def _hints(*, reads: bool, destroys: bool, repeats: bool, leaves: bool) -> ToolAnnotations:
    return ToolAnnotations(
        read_only_hint=reads,
        destructive_hint=destroys,
        idempotent_hint=repeats,
        open_world_hint=leaves,
    )


#: Asks a model: nothing is changed but what is in memory; each answer may differ.
ASKS = _hints(reads=True, destroys=False, repeats=False, leaves=False)
#: Reads the daemon's state.
READS = _hints(reads=True, destroys=False, repeats=True, leaves=False)
#: Changes what is in memory, and nothing else.
LOADS = _hints(reads=False, destroys=False, repeats=True, leaves=False)
#: Fetches from a registry; doing it twice is doing it once.
FETCHES = _hints(reads=False, destroys=False, repeats=True, leaves=True)
#: Adds to the library, and may replace a model of the same name.
REPLACES = _hints(reads=False, destroys=True, repeats=True, leaves=False)
#: Takes from the library.
DESTROYS = _hints(reads=False, destroys=True, repeats=True, leaves=False)
#: Sends to a registry, where it may replace what is there.
PUBLISHES = _hints(reads=False, destroys=True, repeats=True, leaves=True)
#: Reads the web.
BROWSES = _hints(reads=True, destroys=False, repeats=False, leaves=True)

#: Lets a model use other servers' tools, whatever those do.
ACTS = _hints(reads=False, destroys=True, repeats=False, leaves=True)

#: Waits for work that was begun, or stops it.
RESUMES = _hints(reads=True, destroys=False, repeats=True, leaves=False)

#: Tag of a tool whose work may go on as a job when the host stops waiting.
LONG = "long"
#: Tag of a tool that changes what is in memory only; read-only servers have it.
MEMORY = "memory"
#: Tag of a tool that itself leaves out what changes things where the server is read-only.
HEEDS = "heeds"
