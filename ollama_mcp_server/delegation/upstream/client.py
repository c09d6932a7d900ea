"""Who asks an OpenAI-compatible endpoint's models, as `Delegate` asks the daemon's."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from ...address import parse_endpoint
from ...daemon.catalog import nearest
from ...daemon.wire import Part
from ...errors import DaemonError, InvalidArgument, ModelNotFound, OllamaMCPError
from ...progress import Progress
from ..answer import Answer, Heard, said, take_in
from ..delegate import corrected, sent_schema
from ..structured.ask import ask_for_data
from .connection import DONE, Connection
from .refusals import ADDRESS, refused
from .reply import Reply, dropped
from .request import SILENT, removed, to_request, without

if TYPE_CHECKING:
    from pydantic import SecretStr

#: Seconds that a list of models may take where it only helps an error.
LISTING = 3.0
#: What names of models that do not chat hold, for who names none.
_NO_CHAT = ("embed", "rerank", "whisper", "tts", "moderation", "dall-e", "image")


class Upstream:
    """Asks the models of one endpoint, in Ollama's own form."""

    def __init__(
        self,
        base_url: str,
        api_key: SecretStr | None,
        *,
        proxy: str | None = None,
        ca_file: Path | None = None,
    ) -> None:
        """Say where the endpoint is; nothing is opened yet.

        Args:
            base_url: with or without `/v1`, in any spelling.
            api_key: sent there as a bearer token.
            proxy: on the way to an address that is not loopback.
            ca_file: PEM file of the authority that signed the certificate.

        Raises:
            ValueError: `base_url` is no address.
        """
        self.address = parse_endpoint(base_url)
        key = api_key.get_secret_value().strip() if api_key else ""
        self._connection = Connection(self.address, key, proxy, ca_file)
        #: By model: the fields that it refused, and the one in which it tells its thoughts.
        self._refused: dict[str, list[str]] = {}
        self._reasoning: dict[str, str] = {}

    async def ask(self, body: Part, progress: Progress, heard: Heard | None = None) -> Answer:
        """Ask a model and return its whole answer, with what its reader must know of it.

        Args:
            body: a request to `/api/chat`, by Ollama's names.
            progress: told of each phase and of every token.
            heard: hears every part of the answer as it comes, in Ollama's form.

        Raises:
            ContextOverflow: the prompt is longer than the window that the endpoint gives it.
            OllamaMCPError: whatever else went wrong; `details.content` has what had been said.
        """
        answer = Answer(heard=heard)
        progress.so_far = lambda: answer.content
        progress.waits(f"waiting for {body['model']} at {self.address.url}")
        try:
            if body.get("format"):
                await self._ask_for_data(body, answer, progress)
            else:
                await self._ask(body, answer, progress)
        except OllamaMCPError as error:
            error.details.update(said(answer))
            if isinstance(error, ModelNotFound):
                await self._name_others(error)
            raise
        return answer

    async def models(self) -> list[str]:
        """Return the ids of the endpoint's models, in its order."""
        found = _json(await self._connection.get("/models"))
        rows = found.get("data") if isinstance(found, dict) else found
        if not isinstance(rows, list):
            raise DaemonError("the endpoint lists no models", ADDRESS)
        return [str(row["id"]) for row in rows if isinstance(row, dict) and row.get("id")]

    async def first_model(self) -> str:
        """Return the first of the endpoint's models that may chat, for who names none.

        Raises:
            ModelNotFound: there is none.
        """
        for model in await self.models():
            if not any(kind in model.lower() for kind in _NO_CHAT):
                return model
        raise ModelNotFound("the endpoint lists no model that chats", "Name one that it serves")

    async def aclose(self) -> None:
        """Close every connection; requests still under way end."""
        await self._connection.aclose()

    async def _ask_for_data(self, body: Part, answer: Answer, progress: Progress) -> None:
        """Ask until the answer is JSON that fits the schema."""
        schema = body["format"] if isinstance(body["format"], dict) else None
        if schema is not None:
            form, answer.notes = await anyio.to_thread.run_sync(sent_schema, schema)
            body = {**body, "format": form}

        async def again(corrections: list[tuple[str, str]]) -> Answer:
            answer.clear()
            await self._ask(corrected(body, corrections), answer, progress)
            return answer

        await ask_for_data(again, schema)

    async def _ask(self, body: Part, answer: Answer, progress: Progress) -> None:
        """Ask once; what a model does not take is left out where an answer can do without."""
        model = str(body["model"])
        request, warnings = to_request(body, self._reasoning.get(model))
        left_out = self._refused.setdefault(model, [])
        for name in left_out:
            request = removed(request, name)
        while True:
            reply = Reply(model)
            try:
                await take_in(self._parts(request, reply, progress), answer, progress)
                break
            except InvalidArgument as error:
                field = None if reply.said else without(request, error.message)
                if field is None:
                    raise
                left_out.append(field)
                request = removed(request, field)
        if reply.reasoning:
            self._reasoning[model] = reply.reasoning
        missed = [name for name in left_out if name not in SILENT]
        cut = dropped(request, answer.final)
        warnings += [f"{model} does not take {name}; it was left out" for name in missed]
        warnings += reply.warnings + ([cut] if cut else [])
        answer.warnings += [text for text in warnings if text not in answer.warnings]

    async def _parts(
        self, request: Part, reply: Reply, progress: Progress
    ) -> AsyncGenerator[Part, None]:
        """Yield the parts of an answer, in Ollama's form; closing this closes the request."""
        began, done = time.monotonic_ns(), False
        async with aclosing(self._connection.stream(request, progress.waits)) as found:
            async for data in found:
                done = data == DONE
                part = None if done else reply.take(_chunk(data, reply.model))
                if part is not None:
                    yield part
        for part in reply.end(done=done, nanoseconds=time.monotonic_ns() - began):
            yield part

    async def _name_others(self, error: ModelNotFound) -> None:
        """Add to an error the models that there are, should the endpoint tell."""
        with suppress(OllamaMCPError), anyio.move_on_after(LISTING):
            names = await self.models()
            near = nearest(str(error.details.get("model")), names)
            if near:
                error.hint = f"Did you mean {' or '.join(near)}?"
            elif names:
                error.hint = f"It has {', '.join(names[:5])}{' …' if len(names) > 5 else ''}"


def _chunk(data: str, model: str) -> Part:
    """Return a chunk of a stream, or raise the error that it is."""
    chunk = _json(data)
    if isinstance(chunk, dict):
        choices = chunk.get("choices")
        first = choices[0] if isinstance(choices, list) and choices else None
        for holder in (chunk, first):
            if isinstance(holder, dict) and holder.get("error"):
                raise refused(200, json.dumps(holder), model=model)
        if "choices" in chunk or "usage" in chunk:
            return chunk
    raise DaemonError(
        "the endpoint's answer is no chat completion, or was cut",
        "Call again; if it happens twice, check OLLAMA_MCP_OPENAI_BASE_URL",
    )


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
