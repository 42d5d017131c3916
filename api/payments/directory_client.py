"""The central bank's alias directory, as a bank asks it: over HTTP, with its own key, remembering nothing.

Never called inside a transaction. What the directory refuses is told on with its own word.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from api.addresses import address_text, parse_address
from api.payments.alias_errors import DirectoryRefused, DirectoryUnavailable, NoDirectory
from api.settings import NO_FILE

if TYPE_CHECKING:
    import uuid
    from types import TracebackType

    import httpx

    from api.settings import Settings

logger = logging.getLogger(__name__)

TIMEOUT_S: Final = 3.0
_TOLD_ON: Final = frozenset({400, 404, 409, 422, 429})
_OWN_FAULT: Final = frozenset({"CallerNotParticipant"})


@dataclass(frozen=True, slots=True)
class FoundPayee:
    """Whom an alias pays. `name_match` is None where no name was asked about."""

    lookup_id: str
    participant_id: int
    address: bytes
    masked_name: str
    name_match: str | None


class DirectoryClient:
    """The directory at `url`, called with `key`; without a URL there is none. An async context manager.

    Every call raises `NoDirectory`, `DirectoryUnavailable` and `DirectoryRefused`.
    """

    def __init__(self, url: str, key: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._client: httpx.AsyncClient | None = None
        if not url:
            return
        import httpx

        self._client = httpx.AsyncClient(
            base_url=f"{url}/v1/directory",
            headers={"Authorization": f"Bearer {key}"},
            timeout=TIMEOUT_S,
            transport=transport,
            follow_redirects=False,
            trust_env=False,
        )

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The directory that a bank's settings name, or none. The key is read at once. Raises `OSError`."""
        if settings.directory_key_file == NO_FILE:
            return cls("", "")
        return cls(settings.directory_url, settings.directory_key_file.read_text(encoding="ascii").strip())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def look_up(self, alias: str, payee_name: str | None = None) -> FoundPayee:
        """Whom an alias pays; `AliasUnknown` is a refusal."""
        found = await self._call("POST", "/lookups", {"alias": alias, "payee_name": payee_name})
        return FoundPayee(
            found["lookup_id"],
            found["participant_id"],
            parse_address(found["address"]),
            found["masked_name"],
            found["name_match"],
        )

    async def paid(self, lookup_id: uuid.UUID, payment_id: uuid.UUID, transaction_hash: bytes) -> None:
        """Show the payment that a look-up led to."""
        shown = {"payment_id": str(payment_id), "transaction_hash": f"0x{transaction_hash.hex()}"}
        await self._call("POST", f"/lookups/{lookup_id}/payment", shown)

    async def register(self, alias: str, address: bytes, owner: str, name: str) -> dict[str, Any]:
        """Register a customer's alias, or replace what it pays."""
        body = {"alias": alias, "address": address_text(address), "owner": owner, "name": name}
        return await self._call("PUT", "/aliases", body)

    async def claim(
        self, alias: str, address: bytes, owner: str, name: str, verified_at_s: int
    ) -> dict[str, Any]:
        """Claim another bank's alias for a customer."""
        body = {"alias": alias, "address": address_text(address), "owner": owner, "name": name}
        return await self._call("PUT", "/claims", body | {"verified_at_s": verified_at_s})

    async def complete_claim(self, claim_id: uuid.UUID) -> dict[str, Any]:
        """Take a claimed alias over, once its time has passed."""
        return await self._call("POST", f"/claims/{claim_id}/completion")

    async def contest_claim(self, claim_id: uuid.UUID, verified_at_s: int) -> dict[str, Any]:
        """Keep an alias that another bank claims."""
        return await self._call("POST", f"/claims/{claim_id}/contest", {"verified_at_s": verified_at_s})

    async def claims(self) -> list[dict[str, Any]]:
        """The claims that this bank made, and those that it has to answer."""
        claims: list[dict[str, Any]] = (await self._call("GET", "/claims"))["claims"]
        return claims

    async def release(self, alias_id: uuid.UUID) -> None:
        """Forget an alias; one that is not there is forgotten."""
        try:
            await self._call("DELETE", f"/aliases/{alias_id}")
        except DirectoryRefused as refusal:
            if refusal.code != "NotFound":
                raise

    async def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        if self._client is None:
            raise NoDirectory
        import httpx

        try:
            response = await self._client.request(method, path, json=body)
            answer: dict[str, Any] = response.json() if response.content else {}
        except (httpx.HTTPError, ValueError) as failure:
            logger.warning("the directory gave no answer: %s", type(failure).__name__)
            raise DirectoryUnavailable from failure
        if response.is_success:
            return answer
        code = str(answer.get("code", ""))
        if response.status_code not in _TOLD_ON or code in _OWN_FAULT or not code:
            logger.warning("the directory answered %s %s", response.status_code, code)
            raise DirectoryUnavailable
        raise DirectoryRefused(code, response.status_code, answer)
