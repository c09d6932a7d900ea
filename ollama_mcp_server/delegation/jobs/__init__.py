"""Work that outlasts the call it came with: a handle for what the host did not wait for."""

from .elsewhere import Elsewhere
from .job import Job, current
from .jobs import Jobs

__all__ = ["Elsewhere", "Job", "Jobs", "current"]
