"""Everything that can go wrong, and the only mapping from httpx to it.

    OllamaMCPError            internal             500
    ├── InvalidArgument       invalid_argument     400
    ├── CapabilityMissing     capability_missing   400
    ├── ContextOverflow       context_overflow     400
    ├── ModelNotFound         model_not_found      404
    ├── NotFound              not_found            404
    ├── PermissionDenied      permission_denied    403
    ├── Unauthorized          unauthorized         401
    ├── Conflict              conflict             409
    ├── TooLarge              too_large            413
    ├── RateLimited           rate_limited         429
    ├── Cancelled             cancelled            499
    ├── DaemonError           daemon_error         502
    ├── RegistryError         registry_error       502
    ├── ToolFailed            tool_failed          502
    ├── DaemonUnreachable     daemon_unreachable   503
    ├── ServerDown            server_down          503
    ├── QueueFull             queue_full           503
    └── TimedOut              timeout              504

A message says what happened, its hint what to do next. Neither holds a prompt, a picture or a
secret. As a `ToolError` it reaches the caller unmasked; the middleware adds the structured part.
What the daemon's own refusals mean is in `daemon.refusals`.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from fastmcp.exceptions import ToolError


class OllamaMCPError(ToolError):
    """The root: something of ours failed, and the caller is told what and what next."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    retryable: bool = False

    def __init__(self, message: str, hint: str = "", **details: Any) -> None:
        # The caller is told; the log needs no ERROR line for a caller's mistake.
        super().__init__(message, log_level=logging.DEBUG)
        self.message = message
        self.hint = hint
        self.details = {name: value for name, value in details.items() if value is not None}

    def __str__(self) -> str:
        """Return `Error: <what>. <what to do>.`, the text that a model reads."""
        parts = (part.strip() for part in (f"Error: {self.message}", self.hint))
        return " ".join(part if part[-1] in ".?!" else f"{part}." for part in parts if part)

    def as_dict(self) -> dict[str, Any]:
        """Return the structured form: code, message, hint, retryable, and details if any."""
        error: dict[str, Any] = {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "retryable": self.retryable,
        }
        if self.details:
            error["details"] = self.details
        return error


class InvalidArgument(OllamaMCPError):  # noqa: D101 - the tree above says it, here and below
    code, status = "invalid_argument", 400


class CapabilityMissing(OllamaMCPError):  # noqa: D101
    code, status = "capability_missing", 400


class ContextOverflow(OllamaMCPError):  # noqa: D101
    code, status = "context_overflow", 400


class ModelNotFound(OllamaMCPError):  # noqa: D101
    code, status = "model_not_found", 404


class NotFound(OllamaMCPError):  # noqa: D101
    code, status = "not_found", 404


class PermissionDenied(OllamaMCPError):  # noqa: D101
    code, status = "permission_denied", 403


class Unauthorized(OllamaMCPError):  # noqa: D101
    code, status = "unauthorized", 401


class Conflict(OllamaMCPError):  # noqa: D101
    code, status = "conflict", 409


class TooLarge(OllamaMCPError):  # noqa: D101
    code, status = "too_large", 413


class RateLimited(OllamaMCPError):  # noqa: D101
    code, status, retryable = "rate_limited", 429, True


class Cancelled(OllamaMCPError):  # noqa: D101
    code, status = "cancelled", 499


class DaemonError(OllamaMCPError):  # noqa: D101
    code, status, retryable = "daemon_error", 502, True


class RegistryError(OllamaMCPError):  # noqa: D101
    code, status, retryable = "registry_error", 502, True


class ToolFailed(OllamaMCPError):  # noqa: D101
    code, status = "tool_failed", 502


class DaemonUnreachable(OllamaMCPError):  # noqa: D101
    code, status, retryable = "daemon_unreachable", 503, True


class ServerDown(OllamaMCPError):  # noqa: D101
    code, status, retryable = "server_down", 503, True


class QueueFull(OllamaMCPError):  # noqa: D101
    code, status, retryable = "queue_full", 503, True


class TimedOut(OllamaMCPError):  # noqa: D101
    code, status, retryable = "timeout", 504, True


#: What to do when no daemon answers.
START_IT = "Start it with `ollama serve` (or the Ollama app), or set OLLAMA_HOST to where it runs"


@contextmanager
def translated(host: str, hint: str = START_IT) -> Iterator[None]:
    """Turn what httpx raises while talking to `host` into our errors; `hint` if none answers.

    Cancellation and our own errors pass through untouched.
    """
    import httpx  # here, because it is loaded by then and is not on the way to tools/list

    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise DaemonUnreachable(
                f"the certificate of {host} is not trusted",
                "Name the PEM file of its authority in OLLAMA_MCP_CA_FILE",
            ) from error
        raise unreachable(host, hint) from error
    except httpx.ProxyError as error:
        raise DaemonUnreachable(
            f"the proxy on the way to {host} refused the connection",
            "Check OLLAMA_MCP_PROXY, HTTPS_PROXY and NO_PROXY",
        ) from error
    except httpx.TimeoutException as error:
        raise TimedOut(
            f"Ollama at {host} did not answer in time",
            "Call again; if it happens twice, look at the daemon's log, or start it anew",
        ) from error
    except httpx.RequestError as error:
        raise DaemonError(
            f"the connection to Ollama at {host} broke before the answer was complete",
            "Nothing of the answer can be trusted; call again, and look at the daemon's log if "
            "it happens twice",
        ) from error
    except UnicodeEncodeError as error:
        raise InvalidArgument(
            "the text holds characters that are not valid Unicode (a lone surrogate)",
            "Send plain UTF-8 text",
        ) from error


def unreachable(host: str, hint: str = START_IT) -> DaemonUnreachable:
    """Return the error for a `host` where nothing answers."""
    if host.startswith("http://") and host.endswith(":80"):
        hint += "; http:// without a port means port 80, Ollama's own is 11434"
    return DaemonUnreachable(f"nothing answers at {host}", hint)
