"""A client of tool servers as Open WebUI is one: it knows a base address and OpenAPI, no MCP.

It reads `openapi.json` beneath the address, makes a function of every operation that has an
operationId, and posts a function's arguments, as they are, to the address and the operation's path.
"""

from __future__ import annotations

import re
from typing import Any

import httpx

#: What OpenAI's API takes for the name of a function.
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class ToolServer:
    """One tool server, as an administrator of Open WebUI enters it."""

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self.url = url.rstrip("/")
        self.document: dict[str, Any] = {}
        #: By name: description and parameters, as a model is offered them.
        self.functions: dict[str, dict[str, Any]] = {}
        self._client = client

    async def connect(self) -> ToolServer:
        """Read what there is."""
        said = await self._client.get(f"{self.url}/openapi.json", timeout=10)
        assert said.status_code == 200, said.text
        self.document = said.json()
        for _, _, operation in self._operations():
            name = operation["operationId"]
            assert NAME.fullmatch(name), name
            assert name not in self.functions, name
            self.functions[name] = {
                "description": operation.get("description") or operation["summary"],
                "parameters": self._parameters(operation),
            }
        return self

    async def execute(self, name: str, arguments: dict[str, Any]) -> Any:
        """Call a function; an error is what the model gets to read."""
        path, method, operation = next(
            one for one in self._operations() if one[2]["operationId"] == name
        )
        if operation.get("requestBody", {}).get("content") and not arguments:
            raise ValueError(f"{name} expects a body, and there is none")
        said = await self._client.request(method, self.url + path, json=arguments, timeout=60)
        if said.status_code >= 400:
            return {"error": f"HTTP error {said.status_code}: {said.text}"}
        assert said.headers["content-type"] == "application/json"
        return said.json()

    def _operations(self) -> list[tuple[str, str, dict[str, Any]]]:
        return [
            (path, method, operation)
            for path, methods in self.document["paths"].items()
            for method, operation in methods.items()
            if operation.get("operationId")
        ]

    def _parameters(self, operation: dict[str, Any]) -> dict[str, Any]:
        body = operation.get("requestBody", {}).get("content", {})
        schema = self._resolved(body.get("application/json", {}).get("schema", {}))
        return {
            "type": "object",
            "properties": schema.get("properties", {}),
            "required": schema.get("required", []),
        }

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Follow references into the components, which is all that is followed."""
        if "$ref" in schema:
            *_, kind, name = schema["$ref"].split("/")
            return self._resolved(self.document["components"][kind][name])
        named = schema.get("properties", {})
        inner = {key: self._resolved(part) for key, part in named.items()}
        return {**schema, "properties": inner} if inner else schema
