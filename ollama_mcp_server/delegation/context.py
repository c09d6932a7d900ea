"""How large a context window a call needs, and how it is asked for: the arithmetic.

Ollama cuts a prompt that does not fit (`truncate`), drops its start when the window fills up
(`shift`), and loads a model anew for another `num_ctx`, or for `shift: false` (0.34). So a call
asks for what it needs, keeps what is loaded where that will do, and forbids both losses.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..daemon.wire import Part

#: Most tokens that num_ctx is raised to, where the settings and the model allow more.
MAX_CONTEXT = 32_768
#: Tokens kept free for an answer whose length nobody bounds.
ROOM = 1_024
#: Bytes of text for a token, as a rule: English has 4.3, code and other languages less.
BYTES_PER_TOKEN = 3.5
#: Tokens that a picture may take, and that a message's frame may take.
PICTURE, FRAME = 4_096, 64
#: Bytes of a template that may come into a prompt; most of a long one is for other cases.
TEMPLATE = 1_024
#: Fields of a request whose text becomes part of the prompt.
_TEXTS = ("prompt", "system", "suffix", "template", "content", "thinking")


@dataclass(frozen=True)
class Known:
    """What is known of a model before it is asked.

    Attributes:
        window: tokens of the window that it is loaded with, or would be; None if unknown.
        limit: the most tokens that its window may be raised to.
        maximum: the longest window that it was trained for; None if unknown.
        num_predict: the answer's bound in its Modelfile; None if there is none.
        hidden: bytes of the system prompt and messages that its Modelfile adds.
        template: bytes that its template adds at most.
        loaded: whether it is loaded now, with `window`.
        unshifting: whether it was loaded for requests that forbid a shift.
    """

    window: int | None
    limit: int
    maximum: int | None = None
    num_predict: int | None = None
    hidden: int = 0
    template: int = 0
    loaded: bool = False
    unshifting: bool = False


@dataclass(frozen=True)
class Plan:
    """What a request says of its window: None where it says nothing."""

    num_ctx: int | None = None
    num_predict: int | None = None
    shift: bool | None = None

    def applied(self, body: Part) -> Part:
        """Return the request with what it says of its window."""
        told = {"num_ctx": self.num_ctx, "num_predict": self.num_predict}
        options = {name: value for name, value in told.items() if value is not None}
        options = {**(body.get("options") or {}), **options}
        return {
            "truncate": False,
            **({"shift": self.shift} if self.shift is not None else {}),
            **body,
            **({"options": options} if options else {}),
        }


def plan(body: Part, known: Known) -> Plan:
    """Return what to ask for, so that the whole prompt is read and its start is never dropped.

    What the caller gave (options.num_ctx, options.num_predict, shift) is left as it is.
    """
    options = body.get("options") or {}
    given = options.get("num_ctx")
    window = given or known.window
    answer = bound(options, known)
    if not given and window is not None:
        wanted = likely(body, known) + (answer or ROOM)
        if wanted > window:
            window = max(window, min(power_of_two(wanted), known.limit))
    num_ctx = window if not given and (known.loaded or window != known.window) else None
    if "shift" in body:
        return Plan(num_ctx)
    if window is None:
        return Plan(num_ctx, shift=False)
    stays = known.unshifting and window == known.window
    most = at_most(body, known)
    if answer and most + answer <= window and not stays:
        return Plan(num_ctx)
    if not answer and "num_predict" not in options and 2 * most <= window and not stays:
        return Plan(num_ctx, num_predict=window - most)
    return Plan(num_ctx, shift=False)


def kept(known: Known, options: Part) -> Plan:
    """Return what a request that asks nothing says, so that what is loaded is not loaded anew."""
    num_ctx = known.window if known.loaded and "num_ctx" not in options else None
    return Plan(num_ctx, shift=False if known.unshifting and num_ctx else None)


def bound(options: Part, known: Known) -> int | None:
    """Return the most tokens that the answer may have, or None if nothing bounds it."""
    given = options.get("num_predict", known.num_predict)
    return given if given and given > 0 else None


def raised(needed: int | None, window: int, answer: int | None, limit: int) -> int | None:
    """Return the window for a prompt of `needed` tokens that `window` could not hold, or None.

    A power of two, so that few sizes occur: each new one loads the model anew.
    """
    if window >= limit or (needed is not None and needed >= limit):
        return None
    wanted = (needed or 2 * window - (answer or ROOM)) + (answer or ROOM)
    return min(power_of_two(wanted), limit)


def limit_of(maximum: int | None, setting: int | None) -> int:
    """Return the most that num_ctx is raised to: the setting, and never above the model's own."""
    return min(maximum or setting or MAX_CONTEXT, setting or MAX_CONTEXT)


def power_of_two(tokens: int) -> int:
    """Return the least power of two that is not below `tokens`."""
    return 1 << max(tokens - 1, 1).bit_length()


def likely(body: Part, known: Known) -> int:
    """Return about how many tokens a request's prompt has; pictures count as none."""
    text = sum(len(text.encode(errors="replace")) for text in texts(body)) + known.hidden
    return int(text / BYTES_PER_TOKEN)


def at_most(body: Part, known: Known) -> int:
    """Return a number of tokens that a request's prompt hardly exceeds: a byte is a token at most.

    Should a prompt with a long template exceed it all the same, `overran` tells afterwards.
    """
    found = list(texts(body))
    messages = body.get("messages") or ()
    pictures = len(body.get("images") or ()) + sum(len(m.get("images") or ()) for m in messages)
    size = sum(len(text.encode(errors="replace")) for text in found)
    frames = FRAME * (2 + len(messages))
    hidden = known.hidden + min(known.template, TEMPLATE)
    return size + hidden + PICTURE * pictures + frames + len(body.get("context") or ())


def texts(body: Part) -> Iterable[str]:
    """Yield the texts of a request to `/api/chat` or `/api/generate` that its prompt is made of."""
    for part in (body, *(body.get("messages") or ())):
        yield from (part[name] for name in _TEXTS if isinstance(part.get(name), str))
        yield from (str(part[name]) for name in ("tools", "tool_calls") if part.get(name))


def overran(window: int | None, final: dict[str, Any]) -> bool:
    """Return whether prompt and answer were longer together than the window they had."""
    used = (final.get("prompt_eval_count") or 0) + (final.get("eval_count") or 0)
    return window is not None and used > window
