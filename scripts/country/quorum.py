"""The officers of the sample's institutions at work: they see what waits at a wallet node, and approve it.

They reach the node at their own socket, past the bank's servers. In the sample they approve whatever setting
the country up asks for; once it runs, `florin wallet-node operations` shows what waits, and a person decides.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import msgspec

from contracts.base64url import encode
from scripts.country.data_directory import DataDirectory
from scripts.country.institutions import INSTITUTIONS, InstitutionHome
from scripts.country.officers import Officer
from wallet_node.officers.approvals import APPROVE, PROPOSE, WITHDRAW, message

logger = logging.getLogger(__name__)

TIMEOUT: Final = aiohttp.ClientTimeout(total=20)
LOOK_EVERY_S: Final = 0.25
STATEMENT_VALID_S: Final = 3_600


class NodeRefused(Exception):
    """What the wallet node refuses, with its own code and sentence."""

    def __init__(self, problem: dict[str, Any]) -> None:
        self.code = str(problem.get("code", "Unreadable"))
        self.reasons: list[dict[str, str]] = problem.get("reasons") or []
        super().__init__(str(problem.get("detail", "the wallet node refused without a reason")))


class Operation(msgspec.Struct, frozen=True):
    """What waits for officers, as the node tells it."""

    operation_id: str
    kind: str
    digest: str
    description: dict[str, Any]
    quorum: str
    initiator: str
    approved: list[str]
    needed: int
    is_satisfied: bool
    expires_at_s: int
    cooling_until_s: int = 0


class _Operations(msgspec.Struct):
    policy_hash: str
    operations: list[Operation]
    next: str | None = None


class OfficersDesk:
    """One node's operations, over the officers' socket. Use as an async context manager.

    Raises NodeRefused, and aiohttp's errors where nobody answers.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._session: aiohttp.ClientSession | None = None
        self._policy_hash = b""

    async def __aenter__(self) -> Self:
        connector = aiohttp.UnixConnector(path=str(self._socket))
        self._session = aiohttp.ClientSession("http://node", connector=connector, timeout=TIMEOUT)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def operations(self) -> list[Operation]:
        """Everything that waits, the one that expires first before the others; page after page."""
        operations: list[Operation] = []
        path = "/v1/operations"
        while True:
            found = msgspec.json.decode(await self.request("GET", path), type=_Operations)
            self._policy_hash = bytes.fromhex(found.policy_hash[2:])
            operations += found.operations
            if found.next is None:
                return operations
            path = f"/v1/operations?after={found.next}"

    async def propose(self, path: str, asked: dict[str, Any], officer: Officer) -> dict[str, Any]:
        """Ask for what others approve, in the officer's name, who then does not count; ask again to learn
        how far it is. What the officer signs is the digest with which the node refuses a request of nobody.
        """
        try:
            return self._read(await self.request("POST", path, asked))
        except NodeRefused as refusal:
            if refusal.code != "InitiatorRequired":
                raise
            (required,) = refusal.reasons
        expires_at_s = int(time.time()) + STATEMENT_VALID_S
        digest, policy_hash = (bytes.fromhex(required[name][2:]) for name in ("digest", "policy_hash"))
        initiator = {
            "officer": officer.name,
            "expires_at_s": expires_at_s,
            "signature": encode(officer.sign(message(PROPOSE, digest, policy_hash, expires_at_s))),
        }
        return self._read(await self.request("POST", path, {**asked, "initiator": initiator}))

    async def approve(self, operation: Operation, officer: Officer) -> None:
        """The officer signs: this operation, under the policy in force, for an hour; or as long as it waits
        where it is not done at once.
        """
        await self._state("/v1/operations:approve", APPROVE, operation, officer)

    async def withdraw(self, operation: Operation, officer: Officer) -> None:
        """The officer takes an approval back, or refuses one."""
        await self._state("/v1/operations:withdraw", WITHDRAW, operation, officer)

    async def request(self, method: str, path: str, body: Any = None) -> bytes:
        """The content of an answer. Raises NodeRefused."""
        assert self._session is not None, "used inside `async with`"
        data = None if body is None else msgspec.json.encode(body)
        headers = {"content-type": "application/json"}
        async with self._session.request(method, path, data=data, headers=headers) as answer:
            content = await answer.read()
            if answer.status >= 400:
                raise NodeRefused(msgspec.json.decode(content))
            return content

    @staticmethod
    def _read(content: bytes) -> dict[str, Any]:
        return msgspec.json.decode(content, type=dict[str, Any])

    async def _state(self, path: str, verb: int, operation: Operation, officer: Officer) -> None:
        # where there is a time to wait, what is said now counts when that is over
        expires_at_s = int(time.time()) + STATEMENT_VALID_S
        expires_at_s = operation.expires_at_s if operation.cooling_until_s else expires_at_s
        said = message(verb, bytes.fromhex(operation.digest[2:]), self._policy_hash, expires_at_s)
        body = {
            "operation_id": operation.operation_id,
            "officer": officer.name,
            "expires_at_s": expires_at_s,
            "signature": encode(officer.sign(said)),
        }
        await self.request("POST", path, body)


def approvers(operation: Operation, officers: Sequence[Officer]) -> list[Officer]:
    """The first officers, but not the one who proposed it, who are still needed."""
    needed = operation.needed - len(operation.approved)
    done = {operation.initiator, *operation.approved}
    return [each for each in officers if each.name not in done][: max(needed, 0)]


@contextlib.asynccontextmanager
async def officers_at_work(data: DataDirectory) -> AsyncIterator[None]:
    """While this lasts, as many officers of each institution as are needed approve what is asked for."""
    homes = [InstitutionHome(data, plan) for plan in INSTITUTIONS]
    tasks = [asyncio.ensure_future(_approve_all(home)) for home in homes]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _approve_all(home: InstitutionHome) -> None:
    """A node that is being restarted is asked again; what it refuses is said, and looked at again."""
    officers = home.officers()
    while True:
        with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with OfficersDesk(home.officers_socket) as desk:
                try:
                    await _watch(desk, officers)
                except NodeRefused as refusal:
                    logger.warning("%s: officers were refused: %s: %s", home.plan.slug, refusal.code, refusal)
        await asyncio.sleep(LOOK_EVERY_S)


async def _watch(desk: OfficersDesk, officers: Sequence[Officer]) -> None:
    while True:
        for operation in await desk.operations():
            for officer in approvers(operation, officers):
                await desk.approve(operation, officer)
        await asyncio.sleep(LOOK_EVERY_S)
