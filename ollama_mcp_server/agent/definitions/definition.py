"""One MCP server as it is configured."""

from __future__ import annotations

import re
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from .fields import Wrong

#: The source of a server that a call defines.
INLINE = "the call"
#: A name, which people write and models read.
NAME = re.compile(r"(?! )[A-Za-z0-9._ -]{1,64}(?<! )")
#: No program can be given the first, no text be sent with the second.
_IMPOSSIBLE = re.compile("[\0\ud800-\udfff]")
#: A variable that is put in later may be the whole of an address.
_URL = re.compile(r"(https?://[^\s/?#]|\$\{)\S*")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t -~]*")


def _possible(text: str) -> str:
    if _IMPOSSIBLE.search(text):
        raise ValueError("holds a character that no program can be given")
    return text


def _filled(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return _possible(text)


#: Text that a program can be given; and such that is not empty.
Text = Annotated[str, AfterValidator(_possible)]
Filled = Annotated[str, AfterValidator(_filled)]


class EnableIf(BaseModel):
    """What must be so for a server to be enabled; where both are named, both."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    #: A file or folder, relative to the path that the work is about.
    file_exists: Filled | None = None
    #: A variable of the environment that is set, and not empty.
    env_set: Filled | None = None

    @field_validator("file_exists")
    @classmethod
    def _inside(cls, value: str | None) -> str | None:
        for kind in (PurePosixPath, PureWindowsPath):
            path = kind(value or "")
            if path.anchor or ".." in path.parts:
                raise ValueError("must be relative to the path, and not lead out of it")
        return value


class Definition(BaseModel):
    """One server: a program that is started, or the address of one that runs."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    name: str
    description: Text = ""
    command: Filled | None = None
    # What follows may hold a secret, and stays out of logs.
    args: list[Text] = Field(default_factory=list, repr=False)
    env: dict[str, Text] = Field(default_factory=dict, repr=False)
    cwd: Filled | None = None
    url: Text | None = Field(None, repr=False)
    headers: dict[str, SecretStr] = Field(default_factory=dict, repr=False)
    #: Whether it is given the path that the work is about, and before which argument: -1 appends.
    requires_path: bool = False
    path_arg_index: int = -1
    capabilities: list[Text] = Field(default_factory=list)
    auto_enable: Literal["never", "always", "with_path", "if_match"] = "never"
    enable_if: EnableIf | None = None
    #: Patterns of its tools that may be used, None for all; and of those that may not.
    allow: list[Filled] | None = None
    deny: list[Filled] = Field(default_factory=list)
    #: Whether what it says is as good as the operator's word.
    trusted: bool = False
    #: Milliseconds that one of its tools may take.
    timeout: int | None = Field(None, ge=1, le=3_600_000)
    #: Where it is configured.
    source: str = ""

    @field_validator("name")
    @classmethod
    def _is_name(cls, value: str) -> str:
        if not NAME.fullmatch(value):
            raise ValueError("must be 1 to 64 letters, digits, spaces and . _ -")
        return value

    @field_validator("url")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value is not None and not _URL.fullmatch(value):
            raise ValueError("must be an address that begins with http:// or https://")
        return value

    @field_validator("env")
    @classmethod
    def _are_variables(cls, value: dict[str, str]) -> dict[str, str]:
        if any(not name or "=" in name or _IMPOSSIBLE.search(name) for name in value):
            raise ValueError("has a name that no variable can have")
        return value

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, secret in value.items():
            if not _HEADER.fullmatch(name):
                raise ValueError("has a name that no header can have")
            if not _HEADER_VALUE.fullmatch(secret.get_secret_value()):
                raise Wrong("must be plain ASCII on one line", "", name)
        return value

    @model_validator(mode="after")
    def _is_whole(self) -> Definition:
        if (self.command is None) == (self.url is None):
            both = "has both command and url" if self.url else "has neither command nor url"
            raise Wrong(both, "command starts a program, url is where one serves HTTP; give one")
        if not -1 <= self.path_arg_index <= len(self.args):
            most = f"or 0 to {len(self.args)}, for as many args as there are"
            raise Wrong(f"must be -1, to append, {most}", "", "path_arg_index")
        if self.auto_enable == "if_match" and not (
            self.enable_if and (self.enable_if.file_exists or self.enable_if.env_set)
        ):
            raise Wrong("must name file_exists or env_set for if_match", "", "enable_if")
        return self


#: The fields that are written, for us to read.
FIELDS = tuple(name for name in Definition.model_fields if name != "source")
