"""Changes of the library: create, copy, delete, pull, push, and blobs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from .answers import play_job, transfer
from .models import Model, full_name, key_of, now, sha256, short_name, split_source
from .reading import DIGEST, demand_closed, named
from .shelf import Shelf
from .wire import JSON, Answer, Refused, Request, demand


class Changes(Shelf):
    """What changes the models that there are."""

    def _create(self, body: JSON) -> Answer:
        settings = body.get("parameters") or {}
        demand(settings.get("typical_p") is None, "typical_p is no longer supported")
        for path, digest in (body.get("files") or {}).items():
            demand(".." not in path, f"file path must be relative: {path}")
            fits = re.fullmatch(DIGEST, digest)
            demand(fits, f"invalid digest for {path}: invalid digest format")
        demand(not body.get("adapters"), "LoRA adapters are no longer supported")
        demand(full_name(named(body)), "invalid model name")
        demand(
            not body.get("quantize"),
            "create-time quantization is only supported for safetensors imports; "
            "quantize GGUF models with llama.cpp tools before importing",
        )
        return play_job(body, self._make(body))

    def _make(self, body: JSON) -> Iterator[JSON]:
        if body.get("from"):
            origin = split_source(body["from"])[0]
            demand(full_name(origin), "invalid model name")
            if key_of(origin) not in self.models:
                yield from self._fetch(origin)
            base = self.models[key_of(origin)]
        else:
            demand("files" in body, "neither 'from' or 'files' was specified")
            yield from self._read(body["files"])
            base = Model("", "llama", 0.1345, 8192, 576)
        template, terms = body.get("template") or base.template, body.get("license") or base.license
        demand_closed(template, "template error: ", 400)
        made = replace(
            base,
            name=short_name(named(body)),
            template=template,
            modified=now(),
            parameters={**base.parameters, **(body.get("parameters") or {})},
            system=body.get("system") or base.system,
            license=terms if isinstance(terms, str) else "\n".join(terms),
            messages=tuple(body.get("messages") or base.messages),
        )
        yield {"status": f"using existing layer {base.layer}"}
        yield {"status": f"creating new layer sha256:{made.row['digest']}"}
        yield {"status": "writing manifest"}
        self.models[key_of(made.name)] = made
        yield {"status": "success"}

    def _read(self, files: dict[str, str]) -> Iterator[JSON]:
        demand(files and all(path.endswith(".gguf") for path in files), "unknown type")
        for digest in files.values():
            yield {"status": "parsing GGUF"}
            path = f"{self.store}/blobs/{digest.replace(':', '-')}"
            demand(digest in self.blobs, f"open {path}: no such file or directory", 500)
            magic = self.blobs[digest][:4]
            numbers = " ".join(map(str, magic))
            demand(magic == b"GGUF", f"unsupported file type [{numbers}]", 500)

    def _blob(self, request: Request) -> Answer:
        digest = request.path.removeprefix("/api/blobs/")
        demand(re.fullmatch(DIGEST, digest), "invalid digest format")
        if digest in self.blobs:
            return Answer()
        demand(request.method == "POST", f'blob "{digest}" not found', 404)
        got = sha256(request.raw)
        self.blobs[got] = request.raw  # kept by what it is, even if refused for its name
        demand(got == digest, f'digest mismatch, expected "{digest}", got "{got}"')
        return Answer(status=201)

    def _copy(self, body: JSON) -> Answer:
        source, target = body.get("source") or "", body.get("destination") or ""
        for role, name in (("source", source), ("destination", target)):
            demand(full_name(name), f'{role} "{name}" is invalid')
        demand(key_of(source) in self.models, f'model "{source}" not found', 404)
        copied = replace(self.models[key_of(source)], name=short_name(target), modified=now())
        self.models[key_of(target)] = copied
        return Answer()

    def _delete(self, body: JSON) -> Answer:
        name = named(body)
        demand(name, "model is required")
        demand(full_name(name), f'name "{name}" is invalid')
        demand(self.models.pop(key_of(name), None), f"model '{name}' not found", 404)
        self.loaded.pop(key_of(name), None)
        return Answer()

    def _pull(self, body: JSON) -> Answer:
        demand(full_name(named(body)), "invalid model name")
        return play_job(body, self._fetch(named(body)))

    def _fetch(self, name: str) -> Iterator[JSON]:
        yield {"status": "pulling manifest"}
        known = key_of(name) in self.registry
        demand(known, "pull model manifest: file does not exist", 500)
        model = self.registry[key_of(name)]
        yield from transfer("pulling", model, there=key_of(name) in self.models)
        yield {"status": "verifying sha256 digest"}
        yield {"status": "writing manifest"}
        self.models[key_of(name)] = replace(model, modified=now())
        yield {"status": "success"}

    def _push(self, body: JSON) -> Answer:
        demand(named(body), "model is required")
        return play_job(body, self._send(key_of(named(body))))

    def _send(self, key: str) -> Iterator[JSON]:
        yield {"status": "retrieving manifest"}
        if key not in self.models:
            yield {"status": "couldn't retrieve manifest"}
            path = f"{self.store}/manifests/{key.replace(':', '/')}"
            raise Refused(500, f"open {path}: no such file or directory")
        yield from transfer("pushing", self.models[key])
        yield {"status": "pushing manifest"}
        self.registry[key] = self.models[key]
        yield {"status": "success"}
