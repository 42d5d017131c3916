"""Every signature that left the node, read back: what could it move on chain, from whom, and since when?

A nonce executes once, so of all signatures under one nonce one counts; and they must be of one content. What
comes out is summed by who is robbed, over every window of 24 and of 168 hours.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import rlp
from eth_account import Account
from node_builders import CONTRACT, NOTARY

from contracts.batch import unpack_fan_out
from contracts.typed_data import fan_out_digest, payment_digest
from wallet_node.intents.call_movements import transaction_movements
from wallet_node.intents.movements import Kind, Movements, Setting
from wallet_node.keystore.signatures import expand
from wallet_node.keystore.software_key import recover

HARMLESS = {Kind.MINT, Kind.BURN, Kind.PAYMENT, Kind.ACCOUNTS_REGISTERED, Kind.ANCHOR, Kind.NONCE_USED}
"""What an institution's transactions may do: payments in them need their payers' own signatures."""

TARGETS = {bytes.fromhex(CONTRACT[2:]): "currency", bytes.fromhex(NOTARY[2:]): "notary"}


class Moved(NamedTuple):
    """What one nonce can execute. `why`: whose word it rests on."""

    at_s: int
    payer: bytes
    payees: tuple[tuple[bytes, int], ...]
    why: str

    @property
    def amount_minor(self) -> int:
        return sum(amount for _, amount in self.payees)


@dataclass
class Signatures:
    """All of them, by the nonce that they use up."""

    separator: bytes
    institution: bytes
    customers: set[bytes] = field(default_factory=set)
    mandates: dict[str, Any] = field(default_factory=dict)
    approved: dict[str, Any] = field(default_factory=dict)
    moved: dict[tuple[str, bytes, int], Moved] = field(default_factory=dict)
    lasting: dict[tuple[str, bytes, int], list[tuple[int, int]]] = field(default_factory=dict)
    """From when until when each signature of a nonce can be executed."""
    called: dict[tuple[bytes, int], tuple[int, Movements]] = field(default_factory=dict)
    payments: list[tuple[bytes, int, int, bytes, int]] = field(default_factory=list)
    """Payee, amount, nonce, signature (EIP-2098) and end of each."""
    _before: set[tuple[str, bytes, int]] = field(default_factory=set)

    def theft(self) -> None:
        """Whatever was signed up to now was honest, and is again when it is signed again."""
        self._before = set(self.moved)

    def collect(self, path: str, body: Any, status: int, content: Any, at_s: int) -> None:
        """Read back what an answer carries."""
        if path == "/v1/payments:sign" and status == 200:
            for asked, answer in zip(body["payments"], content["results"], strict=True):
                if "signature" in answer:
                    self._payment(asked, answer, body["valid_before_s"], at_s)
        elif path == "/v1/typed-data:sign" and status == 200:
            self._structure(body["intent"], content, at_s)
        elif path in ("/v1/transactions:sign", "/v1/transactions:repair") and status == 200:
            self._transaction(bytes.fromhex(content["raw"][2:]), at_s)
        elif path == "/" and isinstance(content, dict) and isinstance(content.get("result"), str):
            self._wire(body, bytes.fromhex(content["result"][2:]), at_s)

    # ------------------------------------------------------------------------------------------ read back

    def _payment(self, asked: dict[str, Any], answer: dict[str, Any], until_s: int, at_s: int) -> None:
        payer, payee = (bytes.fromhex(asked[each][2:]) for each in ("payer", "payee"))
        digest = payment_digest(self.separator, payee, asked["amount_minor"], answer["nonce"], until_s)
        assert recover(digest, expand(bytes.fromhex(answer["signature"][2:]))) == payer
        signed = bytes.fromhex(answer["signature"][2:])
        self.payments.append((payee, asked["amount_minor"], answer["nonce"], signed, until_s))
        why, proof = "nothing", asked.get("proof") or {}
        if proof.get("kind") == "mandate":
            why = proof["mandate_id"]
        elif proof:
            why = "assertion:" + asked["payment_id"]
        self._add("payment", payer, answer["nonce"], ((payee, asked["amount_minor"]),), why, at_s, until_s)

    def _structure(self, intent: dict[str, Any], answer: dict[str, Any], at_s: int) -> None:
        assert intent["type"] == "FanOut", f"a {intent['type']} was signed"
        packed, payer = bytes.fromhex(intent["payments"][2:]), bytes.fromhex(intent["payer"][2:])
        digest = fan_out_digest(self.separator, packed, answer["nonce"], intent["valid_before_s"])
        assert recover(digest, expand(bytes.fromhex(answer["signature"][2:]))) == payer
        payees = tuple((entry.payee, entry.amount_minor) for entry in unpack_fan_out(packed))
        self._add("payment", payer, answer["nonce"], payees, "nothing", at_s, intent["valid_before_s"])

    def _wire(self, call: dict[str, Any], result: bytes, at_s: int) -> None:
        if call["method"] == "eth_signTransaction":
            self._transaction(result, at_s)
            return
        if not call["method"].startswith("eth_signTypedData"):
            assert len(result) < 64, f"{call['method']} signed something"
            return
        payer, document = bytes.fromhex(call["params"][0][2:]), call["params"][1]
        said = document["message"]
        assert document["primaryType"] == "Payment", f"a {document['primaryType']} was signed"
        payee = bytes.fromhex(said["payee"][2:])
        digest = payment_digest(self.separator, payee, said["amount"], said["nonce"], said["validBefore"])
        assert recover(digest, result[:64] + bytes((result[64] - 27,))) == payer
        payees = ((payee, said["amount"]),)
        self._add("payment", payer, said["nonce"], payees, "nothing", at_s, said["validBefore"])

    def _transaction(self, raw: bytes, at_s: int) -> None:
        sender = bytes.fromhex(Account.recover_transaction(raw)[2:])
        assert raw[0] == 2
        fields = rlp.decode(raw[1:])
        nonce, to, value, data = int.from_bytes(fields[1]), fields[5], int.from_bytes(fields[6]), fields[7]
        assert value == 0, "the chain's own money was sent"
        moved = transaction_movements(TARGETS.get(to, "other"), Setting(sender, to, self.separator), data)
        assert isinstance(moved, tuple), f"what cannot be read was signed: {moved}"
        before = self.called.setdefault((sender, nonce), (at_s, moved))
        assert before[1] == moved, "one nonce, two contents"

    def _add(
        self,
        space: str,
        payer: bytes,
        nonce: int,
        payees: tuple[tuple[bytes, int], ...],
        why: str,
        at_s: int,
        until_s: int,
    ) -> None:
        key = (space, payer, nonce)
        before = self.moved.setdefault(key, Moved(at_s, payer, payees, why))
        assert before.payees == payees, "one nonce, two contents"
        self.lasting.setdefault(key, []).append((at_s, until_s))

    # ------------------------------------------------------------------------------------------ sums

    def stolen(self) -> list[Moved]:
        """From customers, since the theft, on nobody's word."""
        return list(self._stolen().values())

    def _stolen(self) -> dict[tuple[str, bytes, int], Moved]:
        return {
            key: each
            for key, each in self.moved.items()
            if key not in self._before and each.payer in self.customers and each.why == "nothing"
        }

    def most_executable(self) -> int:
        """The largest sum of what is stolen that can be executed at one moment, with signatures kept."""
        kept = [(each.amount_minor, self.lasting[key]) for key, each in self._stolen().items()]
        moments = {at_s for _, times in kept for at_s, _ in times}
        return max(
            sum(amount for amount, times in kept if any(at_s <= now_s < until_s for at_s, until_s in times))
            for now_s in moments
        )

    def on_a_customers_word(self) -> list[Moved]:
        """From customers, since the theft, under mandates and approvals."""
        return [
            each
            for key, each in self.moved.items()
            if key not in self._before and each.payer in self.customers and each.why != "nothing"
        ]

    def of_the_institution(self) -> list[Moved]:
        """The bank's own float."""
        return [each for each in self.moved.values() if each.payer == self.institution]

    def calls(self) -> Iterable[tuple[int, Any]]:
        """Each movement that a transaction makes, with its time."""
        return ((at_s, each) for at_s, moved in self.called.values() for each in moved)


def most_in_any(window_s: int, moved: Iterable[tuple[int, int]]) -> int:
    """The largest sum of (time, amount) in any window that is so long, its end not included."""
    events, most, total, first = sorted(moved), 0, 0, 0
    for at_s, amount in events:
        total += amount
        while events[first][0] <= at_s - window_s:
            total -= events[first][1]
            first += 1
        most = max(most, total)
    return most


def by_payer(moved: Iterable[Moved]) -> dict[bytes, list[tuple[int, int]]]:
    found: dict[bytes, list[tuple[int, int]]] = defaultdict(list)
    for each in moved:
        found[each.payer].append((each.at_s, each.amount_minor))
    return found
