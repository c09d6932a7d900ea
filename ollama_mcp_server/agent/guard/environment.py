"""What a server is told of our environment: what it is given by name, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import SecretStr

from ...errors import InvalidArgument, PermissionDenied
from ..definitions.definition import INLINE

if TYPE_CHECKING:
    from ..definitions.documents import Definition

#: What programs need to run at all, to find their user's folders and to trust the right
#: authorities; and where npx and uvx keep what they fetch.
_BASE = """
    PATH HOME USER LOGNAME SHELL TERM LANG LANGUAGE TZ TMPDIR TEMP TMP
    XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME XDG_STATE_HOME
    APPDATA COMSPEC HOMEDRIVE HOMEPATH LOCALAPPDATA NUMBER_OF_PROCESSORS OS PATHEXT
    PROCESSOR_ARCHITECTURE PROGRAMDATA PROGRAMFILES PROGRAMFILES(X86) SYSTEMDRIVE SYSTEMROOT
    USERNAME USERPROFILE WINDIR
    CURL_CA_BUNDLE NODE_EXTRA_CA_CERTS REQUESTS_CA_BUNDLE SSL_CERT_DIR SSL_CERT_FILE PIP_CERT
    NPM_CONFIG_CACHE NPM_CONFIG_CAFILE UV_CACHE_DIR UV_NATIVE_TLS UV_OFFLINE UV_PYTHON
"""
_NAMES = frozenset(_BASE.split())
#: Addresses that npx, uvx and servers need to reach anything; they may hold a password.
_PLACES = "ALL_PROXY HTTP_PROXY HTTPS_PROXY NO_PROXY NPM_CONFIG_PROXY NPM_CONFIG_HTTPS_PROXY"
_SOURCES = "NPM_CONFIG_REGISTRY PIP_INDEX_URL UV_DEFAULT_INDEX UV_INDEX_URL"
_ADDRESSES = frozenset((*_PLACES.split(), *_SOURCES.split()))
#: An address with a user in it, which must be the only one: else who knows where a password ends?
_WITH_USER = re.compile(r"((?:[A-Za-z][A-Za-z0-9+.-]*://)?)[^\s,/?#]*@([^\s,?#@]+)")

#: Variables that put code into a program that is started.
_LOADING = re.compile(
    r"(LD|DYLD)_.*|GCONV_PATH|GLIBC_TUNABLES|LOCPATH|NLSPATH|BASH_ENV|BASH_FUNC_.*|ENV|IFS|SHELLOPTS"
    r"|BASHOPTS|PS4|PROMPT_COMMAND|PYTHON(PATH|HOME|STARTUP|INSPECT|BREAKPOINT|USERBASE|WARNINGS"
    r"|EXECUTABLE|PYCACHEPREFIX)|NODE_(OPTIONS|PATH|REPL_EXTERNAL_MODULE)|(NPM_CONFIG_)?NODE_OPTIONS"
    r"|NPM_CONFIG_(SCRIPT_SHELL|PREFIX|GLOBALCONFIG|USERCONFIG)|PERL(5LIB|LIB|5OPT|5DB)|RUBY(OPT|LIB)"
    r"|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|JDK_JAVA_OPTIONS|CLASSPATH|PHPRC|PHP_INI_SCAN_DIR|LUA_.*"
    r"|GIT_(SSH.*|EXEC_PATH|ASKPASS|EXTERNAL_DIFF|PROXY_COMMAND|CONFIG.*|TEMPLATE_DIR)|SSH_ASKPASS"
    r"|EDITOR|VISUAL|PAGER|BROWSER|COR(ECLR)?_PROFILER.*|COR(ECLR)?_ENABLE_PROFILING"
    r"|DOTNET_STARTUP_HOOKS|OPENSSL_(CONF|MODULES|ENGINES)",
    re.IGNORECASE,
)
#: ${NAME}, ${NAME:-otherwise} and ${env:NAME}; then whatever else looks like it.
_VARIABLE = re.compile(
    r"\$\{(?:env:)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}|\$\{(?P<odd>[^}]*)\}?"
)
#: Shells of old run what such a value holds.
_FUNCTION = "()"
#: The `source` of servers that a call defines.


def environment_for(definition: Definition, env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment that a server is started with.

    It has the base list, without passwords in addresses; the variable that its `enable_if.env_set`
    names; and what its entry says, with variables put in. Give it the definition as configured,
    not `expanded`, whose values may hold what looks like a variable.

    Raises:
        InvalidArgument: a variable that its `env` names is not set.
        PermissionDenied: its `env` passes on a variable that loads code.
    """
    given = _base(env)
    named = definition.enable_if.env_set if definition.enable_if else None
    known = _known(definition, env)
    if named and named in known and not _LOADING.fullmatch(named):
        given[named] = known[named]
    return given | _entry(definition, env)


def expanded(definition: Definition, env: Mapping[str, str]) -> Definition:
    """Return a definition with variables put into command, args, cwd, url, headers and env.

    `${NAME}` and `${env:NAME}` stand for a variable, `${NAME:-otherwise}` for one that may be
    unset or empty. What a variable holds is not looked through again.

    Raises:
        InvalidArgument: a variable without a default is not set, or what it holds does not fit.
        PermissionDenied: its `env` passes on a variable that loads code.
    """
    changes: dict[str, object] = {
        field: _put_in(text, env, definition, field)
        for field in ("command", "cwd", "url")
        if (text := getattr(definition, field)) is not None
    }
    changes["args"] = [_put_in(text, env, definition, "args") for text in definition.args]
    changes["env"] = _entry(definition, env)
    changes["headers"] = {
        name: SecretStr(_put_in(secret.get_secret_value(), env, definition, f"headers.{name}"))
        for name, secret in definition.headers.items()
    }
    url = changes.get("url")
    if isinstance(url, str) and not re.fullmatch(r"https?://[^\s/?#]\S*", url, re.IGNORECASE):
        raise _unfit(definition.name, "url", "is no http:// or https:// address")
    for name, secret in definition.model_copy(update=changes).headers.items():
        if not re.fullmatch(r"[\t -~]*", secret.get_secret_value()):
            raise _unfit(definition.name, f"headers.{name}", "is not plain ASCII on one line")
    return definition.model_copy(update=changes)


def _known(definition: Definition, env: Mapping[str, str]) -> Mapping[str, str]:
    """Return the variables that a server may be given by name: of a call's, the base list."""
    return _base(env) if definition.source == INLINE else env


def _base(env: Mapping[str, str]) -> dict[str, str]:
    """Return what every server is given."""
    return {name: told for name, value in env.items() if (told := _passed_on(name, value))}


def _passed_on(name: str, value: str) -> str:
    """Return what of a variable is passed on to every server; nothing of most."""
    key = name.upper()
    if value.startswith(_FUNCTION):
        return ""
    if key in _ADDRESSES:
        if found := _WITH_USER.fullmatch(value):
            return found[1] + found[2]
        return "" if "@" in value or "?" in value else value  # a query may hold a token
    return value if key in _NAMES or key.startswith("LC_") else ""


def _entry(definition: Definition, env: Mapping[str, str]) -> dict[str, str]:
    """Return what a server's entry says of its environment, with variables put in."""
    entry = {}
    for name, value in definition.env.items():
        if "${" in value and _LOADING.fullmatch(name):
            raise PermissionDenied(
                f"Access denied: the server {definition.name} is passed {name}, which loads code",
                "Write its value out in the server's env, without variables, or leave it out",
            )
        entry[name] = _put_in(value, env, definition, f"env.{name}")
    return entry


def _put_in(text: str, env: Mapping[str, str], definition: Definition, field: str) -> str:
    server, known = definition.name, _known(definition, env)

    def value_of(found: re.Match[str]) -> str:
        name, default = found["name"], found["default"]
        if name is None:
            raise InvalidArgument(
                f"${{{found['odd'][:40]}}} in {field} of the server {server} is no variable",
                "Write ${NAME}, ${NAME:-otherwise} or ${env:NAME}",
            )
        value = known.get(name)
        if default is not None:
            return value or default
        if value is None:
            if name in env:
                raise PermissionDenied(
                    f"Access denied: a server that a call defines is not given {name}",
                    "Have the server configured by who runs this one",
                )
            raise InvalidArgument(
                f"the variable {name} is not set, and {field} of the server {server} needs it",
                f"Set {name} where this server is started, or write ${{{name}:-otherwise}}",
            )
        return value

    return _VARIABLE.sub(value_of, text)


def _unfit(server: str, field: str, what: str) -> InvalidArgument:
    return InvalidArgument(
        f"{field} of the server {server} {what}, once its variables are put in", "Check them"
    )
