"""What a request reads from the disk and the network before a model is asked."""

from typing import Any

from ..app import App
from ..delegation.inputs.documents import with_documents
from ..delegation.inputs.files import read_files
from ..delegation.inputs.images import read_images


async def read_inputs(app: App, body: dict[str, Any], files: list[str] | None) -> list[str]:
    """Put the text of `files`, and the pictures that `body` names, into it; return warnings.

    The files come before the prompt, or before the newest message.
    """
    messages = body.get("messages") or []
    if files:
        documents = await read_files(app.roots, files)
        if "messages" not in body:
            body["prompt"] = with_documents(documents, body["prompt"])
        elif messages and messages[-1]["role"] == "user":
            last = messages[-1]
            prompt = with_documents(documents, last["content"])
            body["messages"] = messages = [*messages[:-1], {**last, "content": prompt}]
        else:
            prompt = with_documents(documents, "")
            body["messages"] = messages = [*messages, {"role": "user", "content": prompt}]
    warnings: list[str] = []
    for part in (body, *messages):
        if part.get("images"):
            part["images"], told = await read_images(
                part["images"], app.roots, allow_urls=app.settings.allow_urls
            )
            warnings += told
    return warnings
