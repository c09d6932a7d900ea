"""What callers use on all processes together, as a Valkey or Redis (5 or later) knows it.

A request holds a lease as long as it waits or runs: a member of its caller's sorted set, whose
score is the time at which it is believed no more. A second set has those that run. Minutes are
counted by the package limits; each begins with its first use, and anew when a limit changes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection
from typing import TYPE_CHECKING

from ...delegation.memory.valkey import PREFIX, connect, missing
from .counts import SOON, Standing

if TYPE_CHECKING:
    from limits import RateLimitItem

    from ..access.caller import Caller

#: Seconds that the Valkey has to answer.
PATIENCE = 1.0
#: Seconds that a lease is believed unless it is renewed: so long a killed process's requests count.
LASTS = 30.0

#: The Valkey's own clock counts, so that those of the processes may differ.
_TIMES = """
local at = redis.call('TIME')
local now = at[1] + at[2] / 1000000
local ends = now + ARGV[1] / 1000
"""
#: Takes a lease unless its caller has as many as it may; returns how many there were.
_TAKE = (
    _TIMES
    + """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZREM', KEYS[1], ARGV[2])
local present = redis.call('ZCARD', KEYS[1])
if present < tonumber(ARGV[3]) then
  redis.call('ZADD', KEYS[1], ends, ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return present
"""
)
#: Returns leases, renews others, and returns how many that are not named have requests running.
_SETTLE = (
    _TIMES
    + """
local told = cjson.decode(ARGV[2])
for _, id in ipairs(told.gone) do
  redis.call('ZREM', KEYS[1], id)
  redis.call('ZREM', KEYS[2], id)
end
for _, id in ipairs(told.waits) do
  redis.call('ZADD', KEYS[1], ends, id)
  redis.call('ZREM', KEYS[2], id)
end
for _, id in ipairs(told.runs) do
  redis.call('ZADD', KEYS[1], ends, id)
  redis.call('ZADD', KEYS[2], ends, id)
end
for _, key in ipairs(KEYS) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  redis.call('PEXPIRE', key, ARGV[1])
end
return redis.call('ZCARD', KEYS[2]) - #told.runs
"""
)


class Ledger:
    """The counts of all processes; its methods raise OllamaMCPError if the Valkey does not answer.

    None of them raises RateLimited.
    """

    def __init__(self, url: str, *, patience: float = PATIENCE, lasts: float = LASTS) -> None:
        """Count at an address, which is connected to at the first use.

        Args:
            url: as the package redis takes it.
            patience: seconds that it has to answer.
            lasts: seconds that a lease is believed.

        Raises:
            OllamaMCPError: it is no address, or a package is not installed.
        """
        try:
            from limits.aio.storage import RedisStorage
            from limits.aio.strategies import FixedWindowRateLimiter
        except ImportError:
            raise missing("limits") from None
        self._connection = connect(url, patience)
        self.lasts = lasts
        client = self._connection.client
        self._take = client.register_script(_TAKE)
        self._settle = client.register_script(_SETTLE)
        self._minutes = FixedWindowRateLimiter(
            RedisStorage(
                "redis://",
                implementation="redispy",
                key_prefix=f"{PREFIX}minutes",
                connection_pool=client.connection_pool,  # type: ignore[arg-type] # one of its options
            )
        )

    @property
    def where(self) -> str:
        """The address, without a password."""
        return self._connection.where

    async def admit(self, caller: Caller, lease: str) -> Standing:
        """Count a caller's request, and take its lease if they are limited, as far as it may come.

        The lease of one that is over the limit of a minute is still to be returned.
        """
        name, most, present = caller.name, caller.concurrency, 0
        with self._connection.told():
            if most is not None:
                keys, told = [_key("present", name)], (self._lasts_ms, lease, most)
                present = int(await self._take(keys, told))
                if present >= most:
                    return Standing(present)
            if caller.tokens_per_minute is not None:
                item = _tokens(caller.tokens_per_minute)
                if not await self._minutes.test(item, name):
                    return Standing(present, tokens=await self._wait(item, name))
            if caller.requests_per_minute is not None:
                item = _requests(caller.requests_per_minute)
                if not await self._minutes.hit(item, name):
                    return Standing(present, requests=await self._wait(item, name))
        return Standing(present)

    async def settle(
        self, name: str, gone: Collection[str], waits: Collection[str], runs: Collection[str]
    ) -> int:
        """Return and renew leases of a caller; return how many others it has running.

        Args:
            name: the caller's.
            gone: leases to return, whether they were taken or not.
            waits: leases of requests that wait.
            runs: leases of requests that have places.
        """
        told = json.dumps({"gone": [*gone], "waits": [*waits], "runs": [*runs]})
        keys = [_key("present", name), _key("running", name)]
        with self._connection.told():
            return int(await self._settle(keys, [self._lasts_ms, told]))

    async def spend(self, name: str, limit: int, tokens: int) -> None:
        """Count tokens against the minute of a caller who has this limit."""
        with self._connection.told():
            await self._minutes.hit(_tokens(limit), name, cost=tokens)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._connection.client.aclose()

    @property
    def _lasts_ms(self) -> int:
        return round(self.lasts * 1000)

    async def _wait(self, item: RateLimitItem, name: str) -> float:
        """Return the seconds until a minute has passed; the Valkey tells them whole."""
        ends = (await self._minutes.get_window_stats(item, name)).reset_time
        return max(ends - time.time(), SOON)


def _key(what: str, name: str) -> str:
    return f"{PREFIX}{what}:{name}"


def _requests(limit: int) -> RateLimitItem:
    from limits import RateLimitItemPerMinute

    return RateLimitItemPerMinute(limit, namespace="requests")


def _tokens(limit: int) -> RateLimitItem:
    from limits import RateLimitItemPerMinute

    return RateLimitItemPerMinute(limit, namespace="tokens")
