"""A bank's node after an honest morning, and everything that the bank's own software then knew of it."""

import json
import uuid
from dataclasses import dataclass, field
from typing import Any

import msgspec
from http_calls import call
from node_builders import DOMAIN, NOW_S, Home, batch, payment
from passkeys import Passkey
from policy_builders import OFFICERS, officers
from stolen_signatures import Signatures

from contracts import base64url
from contracts.abi import encode_mint
from contracts.customer_approvals import CredentialChange, Mandate, PaymentApproval
from wallet_node.callers import VERBS, Peer, declared
from wallet_node.fields import identifier_bytes
from wallet_node.policy.template import complete
from wallet_node.transport.routes import Application

WALLETS, WITH_PASSKEY = 800, 700
"""Enough for the allowance of the whole institution to bind before those of the wallets."""

RP_ID, ORIGIN = "localhost", "http://localhost:8101"
LANDLORD, SHOP = "0x" + "1a" * 20, "0x" + "2b" * 20
MANDATE_CAP_MINOR = 3_000_000
INSTITUTION = "institution"


def address(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def sandbox_policy(template: bytes, *, api_has_every_verb: bool = False) -> bytes:
    """The real policy, with the public keys of officers whom the thief does not know."""
    if api_has_every_verb:
        verbs = sorted({verb for verb in VERBS.values() if verb is not None})
        listed = "[{name: api, verbs: [" + ", ".join(verbs) + "]}]"
        template += f"\ncallers: {listed}\n".encode()
    return complete(template, officers(*OFFICERS))


@dataclass
class StolenBank:
    """The node behind its real HTTP application, and what is known of its customers."""

    home: Home
    policy: bytes
    signatures: Signatures = field(init=False)
    application: Application = field(init=False)
    tried: set[tuple[str, str]] = field(default_factory=set)
    wallets: list[str] = field(default_factory=list)
    institution: str = ""
    known_payments: list[dict[str, Any]] = field(default_factory=list)
    """Requests that were answered before the theft, each with all its fields and proofs."""
    queued: dict[str, Any] = field(default_factory=dict)
    """A payment that its customer approved and that was not asked for yet."""
    mandates: list[dict[str, Any]] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)
    transactions: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """The node is stopped and started, with the policy that is in force."""
        node = self.home.open(self.policy)
        self.application = Application(node, callers=lambda: declared(node.policy.file.callers))

    @property
    def now_s(self) -> int:
        return int(self.home.clock.now_s)

    async def ask(
        self, method: str, path: str, body: Any = None, *, query: str = "", at_s: int | None = None
    ) -> tuple[int, Any]:
        """One request from the caller `api`. Whatever is signed is kept; `at_s` is the true time, where the
        node's clock shows another.
        """
        self.tried.add((method, path))
        sent = b"" if body is None else json.dumps(body).encode()
        status, _, content = await call(self.application, method, path, sent, peer=Peer("api"), query=query)
        self.signatures.collect(path, body, status, content, self.now_s if at_s is None else at_s)
        return status, content

    # ------------------------------------------------------------------------------------------ honest days

    async def live(self) -> "StolenBank":
        """What happened before the theft: wallets, credentials, mandates, payments, funding, a mint."""
        node = self.application.node
        self.institution = node.keys()["keys"][INSTITUTION]
        self.signatures = Signatures(DOMAIN.separator, address(self.institution))
        for first in range(0, WALLETS, 400):
            indices = list(range(first, first + 400))
            credentials = [wire(passkey(n)) if n < WITH_PASSKEY else None for n in indices]
            _, made = await self.ask(
                "POST", "/v1/keys:derive", {"indices": indices, "credentials": credentials}
            )
            self.wallets += made["addresses"]
        self.signatures.customers = set(map(address, self.wallets))
        await self._authorise()
        await self._pay()
        self.signatures.theft()
        return self

    async def _authorise(self) -> None:
        for number, (payee, days) in enumerate(((LANDLORD, 400), (SHOP, 400), (LANDLORD, 3), (SHOP, 400))):
            self.mandates.append(self._mandate(number, payee, days))
        _, registered = await self.ask("POST", "/v1/mandates", {"mandates": self.mandates})
        assert all("refusal" not in each for each in registered["results"])
        for mandate in self.mandates:
            self.signatures.mandates[mandate["mandate_id"]] = mandate
        revoked = [self.mandates[3]["mandate_id"]]
        await self.ask("POST", "/v1/mandates:revoke", {"mandate_ids": revoked})
        change = self._change(10)
        self.changes.append(change)
        status, _ = await self.ask("POST", "/v1/credentials:change", change)
        assert status == 200

    async def _pay(self) -> None:
        paid = [self.approved(number, payee=SHOP, amount_minor=7_000_000) for number in range(6)]
        paid += [payment(self.institution, wallet, 10_000_000) for wallet in self.wallets[:6]]
        request = batch(*paid, valid_before_s=self.now_s + 86_400)
        _, answer = await self.ask("POST", "/v1/payments:sign", request)
        assert all("signature" in each for each in answer["results"]), answer
        self.known_payments = paid
        self.queued = self.approved(7, payee=LANDLORD, amount_minor=9_000_000)
        self.signatures.approved[self.queued["payment_id"]] = self.queued
        mint = {
            "transaction_id": str(uuid.uuid4()),
            "key": INSTITUTION,
            "chain_id": DOMAIN.chain_id,
            "to": "0x" + DOMAIN.contract.hex(),
            "value": 0,
            "data": "0x" + encode_mint(1_000).hex(),
            "gas": 100_000,
            "max_fee_per_gas": 2_000_000_000,
            "max_priority_fee_per_gas": 1_000_000_000,
            "nonce_floor": 0,
        }
        status, _ = await self.ask("POST", "/v1/transactions:sign", mint)
        assert status == 200
        self.transactions.append(mint)

    # ------------------------------------------------------------------------------------------ said

    def approved(self, number: int, **fields: Any) -> dict[str, Any]:
        """A payment with its customer's own approval."""
        made = payment(self.wallets[number], **fields)
        until_s = self.now_s + 86_400
        digest = PaymentApproval(
            identifier_bytes(made["payment_id"]),
            address(made["payer"]),
            address(made["payee"]),
            made["amount_minor"],
            until_s,
        ).digest(DOMAIN.separator)
        return made | {"proof": {"kind": "assertion", **assertion(passkey(number), digest, until_s)}}

    def _mandate(self, number: int, payee: str, days: int) -> dict[str, Any]:
        until_s = self.now_s + 600
        terms = {
            "mandate_id": str(uuid.uuid4()),
            "payer": self.wallets[number],
            "payee": payee,
            "cap_minor": MANDATE_CAP_MINOR,
            "period": "day",
            "starts_at_s": NOW_S,
            "expires_at_s": NOW_S + days * 86_400,
        }
        digest = Mandate(
            identifier_bytes(str(terms["mandate_id"])),
            address(self.wallets[number]),
            address(payee),
            MANDATE_CAP_MINOR,
            "day",
            NOW_S,
            NOW_S + days * 86_400,
            until_s,
        ).digest(DOMAIN.separator)
        return terms | {"approval": assertion(passkey(number), digest, until_s)}

    def _change(self, number: int) -> dict[str, Any]:
        before, after, until_s = passkey(number), passkey(number + 10_000), self.now_s + 86_400
        change_id = str(uuid.uuid4())
        digest = CredentialChange(
            identifier_bytes(change_id),
            address(self.wallets[number]),
            after.credential.struct_hash(),
            before.credential.struct_hash(),
            until_s,
        ).digest(DOMAIN.separator)
        return {
            "change_id": change_id,
            "wallet": self.wallets[number],
            "bind": wire(after),
            "unbind": base64url.encode(before.credential.credential_id),
            "approval": assertion(before, digest, until_s),
        }


def passkey(number: int) -> Passkey:
    """The customer's of this index."""
    return Passkey(number + 1)


def wire(key: Passkey) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(key.fields())
    return found


def assertion(key: Passkey, challenge: bytes, until_s: int) -> dict[str, Any]:
    """What a browser sends of an approval under the sandbox's own page."""
    found: dict[str, Any] = msgspec.to_builtins(key.approval(challenge, until_s, rp_id=RP_ID, origin=ORIGIN))
    return found
