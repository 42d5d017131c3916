"""What a thief of the bank's API tries, verb by verb: everything that the bank knew, bent and sent again.

The thief has an account of its own, passkeys of its own and whatever was stored; no customer's passkey, no
officer's key. What the node says back is read by `StolenBank.ask`, so an attempt here asserts nothing of
money; it asserts only where a refusal is certain whatever has been spent.
"""

import os
import uuid
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from node_builders import CHAIN_ID, CONTRACT, DOMAIN, NOTARY, batch, payment, transaction
from passkeys import Passkey
from policy_builders import OFFICERS
from stolen_bank import LANDLORD, SHOP, WITH_PASSKEY, StolenBank, address, assertion, wire

from contracts import base64url
from contracts.abi import (
    encode_approve,
    encode_burn,
    encode_mint,
    encode_register,
    encode_settle,
    encode_settle_fan_out,
    encode_transfer,
    encode_transfer_from,
    encode_upgrade,
)
from contracts.batch import Entry, Record, pack, pack_fan_out
from contracts.customer_approvals import CredentialChange, Mandate, PaymentApproval
from contracts.memberships import AccountMove, encode_move_account
from contracts.typed_data import payment_digest, payment_typed_data
from wallet_node.callers import VERBS
from wallet_node.fields import identifier_bytes
from wallet_node.keystore.signatures import compact
from wallet_node.keystore.software_key import SoftwareKey
from wallet_node.officers import approvals

OWN = "0x" + "66" * 20
OWN_PASSKEY = Passkey(666_666)
LOW_VALUE_MINOR = 50_000
OWN_KEY = Ed25519PrivateKey.from_private_bytes(b"thief" * 6 + b"!!")


def new_id() -> str:
    return str(uuid.uuid4())


class Thief:
    """One thief, who begins a new day where the last one ended."""

    def __init__(self, bank: StolenBank) -> None:
        self.bank = bank
        self.own_wallets: list[str] = []
        self._next_index = 1_000_000
        self._hours = 0
        self._taken: list[dict[str, Any]] = []
        """What was signed without any proof, to have it signed again."""
        self._structures: list[dict[str, Any]] = []

    async def hour(self) -> None:
        """Everything, once."""
        for attempt in (
            self.take_the_allowances,
            self.hoard,
            self.bend_stored_approvals,
            self.play_mandates,
            self.bind_credentials,
            self.sign_structures,
            self.call_contracts,
            self.spend_the_float,
            self.play_nonces,
            self.play_the_clock,
            self.speak_web3signer,
            self.play_the_officers,
            self.read_everything,
        ):
            await attempt()

    async def pay(self, *payments: dict[str, Any], until_s: int = 0, **terms: Any) -> list[dict[str, Any]]:
        """The results of one batch, which ends in an hour where nothing else is said."""
        request = batch(*payments, valid_before_s=until_s or self.bank.now_s + 3_600, **terms)
        status, answer = await self.bank.ask("POST", "/v1/payments:sign", request)
        if status != 200:
            return []
        results: list[dict[str, Any]] = answer["results"]
        signed = [asked for asked, result in zip(payments, results, strict=True) if "signature" in result]
        self._taken += [each for each in signed if "proof" not in each and each["attempt"] == 1]
        return results

    async def refused(self, *payments: dict[str, Any], until_s: int = 0) -> None:
        """None of these is ever signed, whatever is left of any allowance."""
        results = await self.pay(*payments, until_s=until_s)
        assert results, "the node answers each payment by itself"
        assert all("refusal" in each for each in results), results

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        return await self.bank.ask("POST", path, body)

    # ------------------------------------------------------------------------------------------ payments

    async def take_the_allowances(self) -> None:
        """As much as can be had without any proof, of everybody, in lots as large as they may be."""
        wallets = self.bank.wallets
        for at in range(0, len(wallets), 1_000):
            lot = wallets[at : at + 1_000]
            await self.pay(*[payment(each, OWN, LOW_VALUE_MINOR) for each in lot])
        # what is left of the whole institution's is less than a payment of the largest amount
        self._hours += 1
        fresh = wallets[-4 * self._hours :][:4]
        change = [2**power for power in range(15, -1, -1)]
        await self.pay(*[payment(each, OWN, amount) for each in fresh for amount in change])
        await self.refused(payment(wallets[0], OWN, LOW_VALUE_MINOR + 1), payment(wallets[0], OWN, 2**40 - 1))
        too_many = batch(*[payment(wallets[0], OWN, 1)] * 1_001)
        assert (await self.post("/v1/payments:sign", too_many))[0] == 400

    async def hoard(self) -> None:
        """Everything that was ever signed without a proof once more, to execute it all at once."""
        attempt = 1 + self._hours
        until_s = self.bank.now_s + 3_600
        for at in range(0, len(taken := list(self._taken)), 1_000):
            await self.pay(*[each | {"attempt": attempt} for each in taken[at : at + 1_000]], until_s=until_s)
        for asked in self._structures:
            lasting = asked["intent"] | {"valid_before_s": until_s}
            await self.post("/v1/typed-data:sign", asked | {"attempt": attempt, "intent": lasting})

    async def bend_stored_approvals(self) -> None:
        """Approvals of payments that were made, for others; and of one that was not made yet."""
        bank = self.bank
        for stored in (bank.known_payments[0], bank.known_payments[1], bank.queued):
            again = stored | {"payment_id": new_id()}
            await self.refused(again, again | {"payment_id": new_id(), "payee": OWN})
            bent = [{"payee": OWN}, {"amount_minor": stored["amount_minor"] + 1}, {"payer": bank.wallets[9]}]
            if stored is not bank.queued:  # whose id a refusal would end, and with it what the customer wants
                await self.refused(*[stored | change for change in bent])
            proof = stored["proof"]
            longer = proof | {"expires_at_s": proof["expires_at_s"] + 10**6}
            await self.refused(stored | {"payment_id": new_id(), "proof": longer})
        await self.refused(self.forged(bank.wallets[2]), self.forged(bank.wallets[WITH_PASSKEY + 1]))
        await self.pay(bank.known_payments[0])
        # what was approved may be asked for: it is signed as it was approved, and once
        await self.pay(bank.queued)
        await self.pay(bank.queued | {"attempt": 2}, until_s=bank.now_s + 7_200)
        await self.refused(bank.queued | {"payee": OWN}, bank.queued | {"amount_minor": 1})

    def forged(self, payer: str) -> dict[str, Any]:
        """A payment that the thief approves of."""
        made, until_s = payment(payer, OWN, 80_000_000), self.bank.now_s + 600
        digest = PaymentApproval(
            identifier_bytes(made["payment_id"]), address(payer), address(OWN), 80_000_000, until_s
        ).digest(DOMAIN.separator)
        return made | {"proof": {"kind": "assertion", **assertion(OWN_PASSKEY, digest, until_s)}}

    async def play_mandates(self) -> None:
        bank, told = self.bank, self.bank.mandates

        def under(mandate: dict[str, Any], **changes: Any) -> dict[str, Any]:
            made = payment(mandate["payer"], mandate["payee"], 1_000_000) | changes
            return made | {"proof": {"kind": "mandate", "mandate_id": mandate["mandate_id"]}}

        await self.pay(*[under(mandate) for mandate in told[:3] for _ in range(2)])
        await self.refused(
            under(told[0], payee=OWN),
            under(told[0], payer=bank.wallets[1]),
            under(told[0], amount_minor=3_000_001),
            under(told[3]),
            under(told[0] | {"mandate_id": new_id()}),
        )
        own = {
            "mandate_id": new_id(),
            "payer": bank.wallets[2],
            "payee": OWN,
            "cap_minor": 2**40,
            "period": "day",
            "starts_at_s": bank.now_s,
            "expires_at_s": bank.now_s + 10**7,
        }
        until_s = bank.now_s + 600
        digest = Mandate(
            identifier_bytes(own["mandate_id"]),
            address(own["payer"]),
            address(OWN),
            2**40,
            "day",
            own["starts_at_s"],
            own["expires_at_s"],
            until_s,
        ).digest(DOMAIN.separator)
        asked = [
            own | {"approval": assertion(OWN_PASSKEY, digest, until_s)},
            own | {"mandate_id": new_id(), "approval": told[2]["approval"]},
            told[0] | {"mandate_id": new_id()},
            told[0] | {"payee": OWN},
            told[0] | {"cap_minor": 2**40},
            told[3] | {"mandate_id": new_id(), "payee": OWN},
        ]
        _, answer = await self.post("/v1/mandates", {"mandates": asked})
        assert all("refusal" in each for each in answer["results"]), answer
        await self.refused(under(own))
        await self.post("/v1/mandates", {"mandates": told})
        await self.post("/v1/mandates:revoke", {"mandate_ids": [new_id()]})

    # ------------------------------------------------------------------------------------------ credentials

    async def bind_credentials(self) -> None:
        """To wallets of others never; to new ones, which nobody has paid yet, as often as wanted."""
        bank, own = self.bank, wire(OWN_PASSKEY)
        lot = {"indices": [0, 5, WITH_PASSKEY + 1], "credentials": [own] * 3}
        _, answer = await self.post("/v1/keys:derive", lot)
        assert answer["addresses"] == [None] * 3
        made = {"indices": [self._next_index], "credentials": [own]}
        _, answer = await self.post("/v1/keys:derive", made)
        self.own_wallets += answer["addresses"]
        self._next_index += 1

        stored = bank.changes[0]
        for change in (
            stored | {"wallet": bank.wallets[3]},
            stored | {"change_id": new_id()},
            stored | {"bind": own},
            self.forged_change(bank.wallets[2], bank.now_s + 600),
            self.forged_change(bank.wallets[WITH_PASSKEY + 2], bank.now_s + 600),
        ):
            status, _ = await self.post("/v1/credentials:change", change)
            assert status == 403
        status, _ = await self.post("/v1/credentials:change", stored)
        assert status == 200  # it was made, and is not made again
        without = self.forged_change(bank.wallets[4], 0) | {"approval": None}
        status, _ = await self.post("/v1/credentials:change", without)
        assert status in (202, 403)
        assert (await self.post("/v1/credentials:change", without))[0] in (202, 403)
        no = {"change_id": without["change_id"], "wallet": bank.wallets[WITH_PASSKEY + 2]}
        no["approval"] = assertion(OWN_PASSKEY, bytes(32), bank.now_s + 600)
        assert (await self.post("/v1/credentials:refuse", no))[0] == 403
        await self.refused(self.forged(bank.wallets[4]), self.forged(bank.wallets[10]))

    def forged_change(self, wallet: str, until_s: int) -> dict[str, Any]:
        change_id = new_id()
        digest = CredentialChange(
            identifier_bytes(change_id),
            address(wallet),
            OWN_PASSKEY.credential.struct_hash(),
            bytes(32),
            until_s,
        ).digest(DOMAIN.separator)
        return {
            "change_id": change_id,
            "wallet": wallet,
            "bind": wire(OWN_PASSKEY),
            "unbind": None,
            "approval": assertion(OWN_PASSKEY, digest, until_s),
        }

    # ------------------------------------------------------------------------------------------ structures

    async def sign_structures(self) -> None:
        """Whatever else is signed for a currency: small fan-outs count as payments, the rest is refused."""
        bank, until_s = self.bank, self.bank.now_s + 3_600
        payer, random = bank.wallets[20], "0x" + os.urandom(32).hex()
        moving = {"payer": payer, "payee": OWN, "amount_minor": 1, "valid_after_s": 0}
        moving |= {"valid_before_s": until_s, "nonce": random}
        permit = {"type": "Permit", "owner": payer, "spender": OWN, "amount_minor": 1, "nonce": 0}
        move = {"type": "AccountMove", "owner": payer, "participant": 2, "tier": 1, "is_linked": False}
        for owner in (payer, bank.institution):
            for intent in (
                permit | {"owner": owner, "deadline_s": until_s},
                {"type": "TransferWithAuthorization", **moving, "payer": owner},
                {"type": "ReceiveWithAuthorization", **moving, "payer": owner},
                {"type": "CancelAuthorization", "authorizer": owner, "nonce": random},
                move | {"owner": owner, "nonce": 0, "valid_before_s": until_s},
                self.fan_out(owner, [(OWN, 30_000), (LANDLORD, 20_001)]),
            ):
                status, _ = await self.structure(intent)
                assert status == 403, intent
        for payees in ([(OWN, 20_000), (OWN, 30_000)], [(OWN, 1)] * 100):
            asked = {"intent_id": new_id(), "attempt": 1, "intent": self.fan_out(bank.wallets[21], payees)}
            if (await self.post("/v1/typed-data:sign", asked))[0] == 200:
                self._structures.append(asked)
        proof = bank.known_payments[0]["proof"]
        status, _ = await self.structure(self.fan_out(bank.wallets[0], [(SHOP, 7_000_000)]), proof=proof)
        assert status == 403

    def fan_out(self, payer: str, payees: list[tuple[str, int]]) -> dict[str, Any]:
        packed = pack_fan_out([Entry(address(payee), amount) for payee, amount in payees])
        fields = {"payer": payer, "payments": "0x" + packed.hex(), "nonce": 0}
        return {"type": "FanOut", **fields, "valid_before_s": self.bank.now_s + 3_600}

    async def structure(self, intent: dict[str, Any], **more: Any) -> tuple[int, Any]:
        return await self.post(
            "/v1/typed-data:sign", {"intent_id": new_id(), "attempt": 1, "intent": intent, **more}
        )

    # ------------------------------------------------------------------------------------------ transactions

    async def call_contracts(self) -> None:
        """With the institution's key: to the currency, to others, to nobody, with money of the chain."""
        bank, thief = self.bank, address(OWN)
        move = AccountMove(address(bank.wallets[1]), 2, 1, 0, 0, bank.now_s + 600)
        for data in (
            encode_transfer(thief, 10_000_000),
            encode_approve(thief, 2**255),
            encode_transfer_from(address(bank.wallets[0]), thief, 5_000),
            encode_upgrade(thief),
            encode_move_account(move, bytes(65)),
            b"",
            encode_mint(10**12 + 1),
            encode_burn(10**12 + 1),
            encode_transfer(thief, 1)[:-1],
        ):
            status, _ = await self.transact(data)
            assert status == 403, data.hex()
        for changes in (
            {"to": OWN, "value": 10**18},
            {"to": NOTARY, "data": "0x" + encode_mint(1).hex()},
            {"to": OWN, "data": "0x" + encode_settle(b"", 1).hex()},
            {"value": 1},
            {"chain_id": 1},
            {"key": "governor"},
            {"gas": 10**12},
            {"max_fee_per_gas": 10**18},
            {"listed_accounts": OWN, "to": OWN},
        ):
            status, _ = await self.post(
                "/v1/transactions:sign", transaction("0x" + encode_mint(1).hex()) | changes
            )
            assert status == 403, changes
        for data in (
            *self.batches(),
            encode_register([thief], 1, 0),
            encode_mint(1_000_000),
            encode_burn(1),
        ):
            await self.transact(data)
        stored = bank.transactions[0]
        await self.post("/v1/transactions:sign", stored)
        bent = [{"data": "0x" + encode_transfer(thief, 1).hex()}, {"to": OWN}, {"gas": 200_000}]
        for change in bent:
            status, _ = await self.post("/v1/transactions:sign", stored | change)
            assert status == 403

    def batches(self) -> list[bytes]:
        """What was signed, settled as it was; bent; and signed by the thief."""
        until_s = self.bank.now_s + 600
        digest = payment_digest(DOMAIN.separator, address(OWN), 10**6, 0, until_s)
        own = compact(SoftwareKey(b"\x66" * 32).sign_digest(digest))
        packed = pack_fan_out([Entry(address(OWN), 5)])
        found = [
            encode_settle(pack([Record(address(OWN), 10**6, 0, own[:32], own[32:])]), until_s),
            encode_settle_fan_out(packed, 0, until_s, own[:32], own[32:]),
        ]
        for payee, amount_minor, nonce, signed, signed_until_s in self.bank.signatures.payments[:2]:
            parts = nonce, signed[:32], signed[32:]
            found += [
                encode_settle(pack([Record(payee, amount_minor, *parts)]), signed_until_s),
                encode_settle(pack([Record(address(OWN), amount_minor, *parts)]), signed_until_s),
                encode_settle(pack([Record(payee, amount_minor + 1, *parts)]), signed_until_s),
            ]
        return found

    async def transact(self, data: bytes, **changes: Any) -> tuple[int, Any]:
        return await self.post("/v1/transactions:sign", transaction("0x" + data.hex()) | changes)

    async def spend_the_float(self) -> None:
        """Only into wallets of this bank: the thief's own among them, which is what funding allows."""
        bank = self.bank
        await self.refused(
            *[payment(bank.institution, payee, 1) for payee in (OWN, LANDLORD, CONTRACT, bank.institution)]
        )
        await self.pay(*[payment(bank.institution, each, 2 * 10**11) for each in self.own_wallets[:3]])
        fan_out = self.fan_out(bank.institution, [(bank.wallets[0], 1), (OWN, 1)])
        assert (await self.structure(fan_out))[0] == 403

    # ------------------------------------------------------------------------------------------ nonces

    async def play_nonces(self) -> None:
        """Floors far ahead, other content under known ids, later attempts, lives that are too long."""
        bank, known = self.bank, self.bank.known_payments[0]
        payer = bank.wallets[30]
        await self.refused(payment(payer, OWN, 1, nonce_floor=2**32 - 1))
        await self.pay(payment(payer, OWN, 1, nonce_floor=900), payment(payer, OWN, 1, attempt=2**31 - 1))
        first = payment(payer, OWN, 100)
        await self.pay(first, first, first | {"attempt": 2})
        await self.refused(first | {"amount_minor": 101}, first | {"payee": LANDLORD})
        await self.pay(first | {"attempt": 3}, until_s=bank.now_s + 30 * 86_400)
        await self.refused(payment(payer, OWN, 1), until_s=bank.now_s + 31 * 86_400)
        await self.refused(known | {"attempt": 1, "payee": OWN}, known | {"attempt": 9, "amount_minor": 1})
        await self.pay(known | {"attempt": 2}, until_s=bank.now_s + 29 * 86_400)
        assert not await self.pay(payment(payer, OWN, 1), chain_id=CHAIN_ID + 1)
        assert not await self.pay(payment(payer, OWN, 1), contract=OWN)

    async def play_the_clock(self) -> None:
        """The node's clock is set back, by an hour, a day, a year; what is signed then is signed now."""
        clock, true_s = self.bank.home.clock, self.bank.now_s
        for back_s in (3_600, 86_400, 8 * 86_400, 365 * 86_400):
            clock.now_s = true_s - back_s
            asked = [payment(each, OWN, LOW_VALUE_MINOR) for each in self.bank.wallets[40:44]]
            request = batch(*asked, valid_before_s=true_s + 600)
            await self.bank.ask("POST", "/v1/payments:sign", request, at_s=true_s)
        clock.now_s = true_s

    # ------------------------------------------------------------------------------------------ other forms

    async def speak_web3signer(self) -> None:
        bank = self.bank
        payer = bank.wallets[50]
        key = {"from": bank.institution, "nonce": "0x0", "gas": "0x186a0", "to": CONTRACT}
        key |= {"maxFeePerGas": "0x1", "maxPriorityFeePerGas": "0x1", "chainId": hex(CHAIN_ID)}
        stolen = "0x" + encode_transfer(address(OWN), 5).hex()
        document = payment_typed_data(DOMAIN, address(OWN), LOW_VALUE_MINOR, 5_000, bank.now_s + 600)
        dear = payment_typed_data(DOMAIN, address(OWN), LOW_VALUE_MINOR + 1, 0, bank.now_s + 600)
        elsewhere = document | {"domain": document["domain"] | {"chainId": 1}}
        next_nonce = payment_typed_data(
            DOMAIN, address(OWN), LOW_VALUE_MINOR, self._next_of(payer), bank.now_s + 600
        )
        for method, params in (
            ("eth_accounts", []),
            ("eth_sign", [payer, "0x" + "00" * 32]),
            ("eth_sign", [bank.institution, "0xdeadbeef"]),
            ("eth_signTransaction", [key | {"data": stolen}]),
            ("eth_signTransaction", [key | {"to": OWN, "value": "0xde0b6b3a7640000"}]),
            ("eth_signTransaction", [key | {"from": payer, "data": stolen}]),
            ("eth_signTypedData_v4", [payer, dear]),
            ("eth_signTypedData_v4", [payer, elsewhere]),
            ("eth_signTypedData_v4", [payer, document]),
            ("eth_signTypedData", [payer, next_nonce]),
            ("eth_signTypedData_v4", [bank.institution, next_nonce]),
        ):
            await self.post("/", {"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        await bank.ask("POST", "/api/v1/eth1/sign/" + bank.institution, {"data": "0x00"})
        for method, path in (
            ("GET", "/api/v1/eth1/publicKeys"),
            ("GET", "/upcheck"),
            ("GET", "/healthcheck"),
            ("GET", "/reload"),
        ):
            await bank.ask(method, path)
        await bank.ask("POST", "/reload")

    def _next_of(self, payer: str) -> int:
        """The nonce that a payer's next payment gets, as far as what was signed tells."""
        taken = [key[2] for key in self.bank.signatures.moved if key[1] == address(payer)]
        return max(taken, default=-1) + 1

    async def play_the_officers(self) -> None:
        """Policies, approvals and withdrawals under keys that are not the officers'; repairs."""
        bank = self.bank
        loose = bank.policy.replace(b"version: 1\n", b"version: 2\n")
        loose = loose.replace(b"per_payment_cap_minor: 50000", b"per_payment_cap_minor: 150000")
        operation_id = new_id()
        change = {"operation_id": operation_id, "source": loose.decode()}
        status, waiting = await self.post("/v1/policy:change", change)
        assert status in (202, 403)
        digest = bytes.fromhex(waiting["digest"][2:]) if status == 202 else bytes(32)
        policy_hash, until_s = bank.application.node.policy.digest, bank.now_s + 600
        for path, verb in (("/v1/operations:approve", 1), ("/v1/operations:withdraw", 2)):
            for officer in OFFICERS:
                signed = approvals.message(verb, digest, policy_hash, until_s)
                said = {"operation_id": operation_id, "officer": officer, "expires_at_s": until_s}
                for signature in (OWN_KEY.sign(signed), bytes(64)):
                    status, _ = await self.post(path, said | {"signature": base64url.encode(signature)})
                    assert status == 403
                asserted = assertion(OWN_PASSKEY, signed[-32:], until_s)
                asserted.pop("expires_at_s")
                status, _ = await self.post(path, said | {"assertion": asserted})
                assert status == 403
        status, _ = await self.post("/v1/policy:change", change)
        assert status in (202, 403)
        repair = {"transaction_id": bank.transactions[0]["transaction_id"]}
        repair |= {"max_fee_per_gas": 10**10, "max_priority_fee_per_gas": 10**10}
        assert (await self.post("/v1/transactions:repair", repair))[0] in (202, 403)
        await self.post("/v1/intents:explain", {"payment": bank.known_payments[0]})
        assert bank.application.node.policy.source == bank.policy

    async def read_everything(self) -> None:
        """What can be read moves nothing, and there is no other door."""
        for method, path in VERBS:
            if method == "GET":
                query = {
                    "/v1/journal/inclusion": "sequence=1&size=2",
                    "/v1/journal/consistency": "first=1&second=2",
                    "/v1/journal/rows": "from=1&count=5",
                }.get(path, "")
                await self.bank.ask(method, path, query=query)
        for path in ("/v1/keys:export", "/v1/digests:sign", "/v2/payments:sign", "//v1/payments:sign"):
            assert (await self.post(path, {}))[0] == 404
