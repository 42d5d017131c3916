"""How much, how often and how slowly a caller may ask. Times are seconds of a monotonic clock."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from wallet_node.callers import Caller, Verb
from wallet_node.errors import BodyTooLarge, RateLimited, TooManyConnections

_KIB = 1024
BODY_BYTES: Mapping[Verb, int] = {
    "derive": 1024 * _KIB,
    "sign-payments": 4096 * _KIB,
    "sign-transactions": 4096 * _KIB,
    "sign-typed-data": 4096 * _KIB,
    "mandates": 4096 * _KIB,
    "credentials": 64 * _KIB,
    "approve": 64 * _KIB,
    "policy": 1024 * _KIB,
    "explain": 4096 * _KIB,
    "repair": 64 * _KIB,
    "web3signer": 4096 * _KIB,
}
"""The largest request body of a verb; a verb that is not here takes none."""

BODIES_UNDER_WAY_BYTES = 64 * 1024 * _KIB
"""The most that the parts of one caller's unfinished bodies may hold in memory."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one endpoint bears. A proven connection is one whose caller is known and may connect.

    `request_bytes` bounds a request on the wire, with what is read of it only to be thrown away.
    """

    proven: int = 256
    unproven: int = 32
    header_s: float = 10.0
    body_s: float = 20.0
    unread_answer_s: float = 30.0
    handshake_s: float = 5.0
    header_bytes: int = 16 * _KIB
    request_bytes: int = 32 * 1024 * _KIB


def body_bytes(verb: Verb | None) -> int:
    """The largest body of this verb's requests."""
    return BODY_BYTES.get(verb, 0) if verb is not None else 0


class RateLimiter:
    """A token bucket for each caller and verb: `burst` at once, refilled by `requests_per_s`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}

    def require(self, caller: Caller, verb: Verb | None) -> None:
        """Take one token. Raises RateLimited, and then takes none."""
        if verb is None:
            return
        now_s = self._clock()
        most = float(caller.burst or caller.requests_per_s)
        key = (caller.name, verb)
        tokens, at_s = self._buckets.get(key, (most, now_s))
        tokens = min(most, tokens + (now_s - at_s) * caller.requests_per_s)
        if tokens < 1.0:
            self._buckets[key] = (tokens, now_s)
            wait_s = math.ceil((1.0 - tokens) / caller.requests_per_s)
            raise RateLimited(
                f"{caller.name} may use {verb} {caller.requests_per_s} times a second; wait", max(1, wait_s)
            )
        self._buckets[key] = (tokens - 1.0, now_s)


class BodiesUnderWay:
    """Counts what unfinished bodies hold, by caller, so that one caller cannot fill the memory of all."""

    def __init__(self, most_bytes: int = BODIES_UNDER_WAY_BYTES) -> None:
        self._most_bytes = most_bytes
        self._held_bytes: dict[str, int] = {}

    def hold(self, caller: str, size: int) -> None:
        """Take room for a part. Raises TooManyConnections, and then takes none."""
        held = self._held_bytes.get(caller, 0) + size
        if held > self._most_bytes:
            raise TooManyConnections(f"{caller} sends too many large requests at once; nothing was signed")
        self._held_bytes[caller] = held

    def release(self, caller: str, size: int) -> None:
        """Give the room of a whole request back."""
        self._held_bytes[caller] -= size


def require_size(size: int, verb: Verb | None) -> None:
    """Raise BodyTooLarge where a body is larger than the verb's requests."""
    if size > body_bytes(verb):
        raise BodyTooLarge(f"this request's body has at most {body_bytes(verb)} bytes")
