"""Payments a second on one core, beside bare signing in the same rounds.

The measured path is a request's whole way but for the socket: strict JSON, proofs, policy, nonces, the
journal with its fsync, signatures, a verified sample, JSON. Rounds of the node and of bare libsecp256k1 take
turns, so that what slows one down, slows the other.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

import msgspec
from coincurve import PrivateKey
from eth_account import Account

from contracts.typed_data import PaymentDomain, payment_typed_data
from scripts.bench.signer_home import CHAIN_ID, CONTRACT, DOMAIN_NAME, Proof, SignerHome
from wallet_node import strict_json
from wallet_node.intents.requests import PaymentBatch
from wallet_node.keystore.signatures import require_backends
from wallet_node.node import WalletNode
from wallet_node.transport.serving import leave_to_stay

Way = Literal["low_value", "cold_keys", "assertion", "mandate"]
WAYS: Sequence[Way] = get_args(Way)
"""Within the low-value allowance, with keys that are cached or derived for it; with a proof each."""

BATCH = 500
_PROOFS: Mapping[Way, Proof] = {"low_value": "none", "assertion": "assertion", "mandate": "mandate"}
_ETH_ACCOUNT_SIGNATURES = 200


@dataclass(frozen=True, slots=True)
class Effort:
    """How long is measured: so many rounds of so many batches each."""

    rounds: int
    batches: int

    @property
    def payments(self) -> int:
        """In all rounds."""
        return self.rounds * self.batches * BATCH


@dataclass(slots=True)
class Rate:
    """What each round gave, per second; `processor_share` is how much of its time a core worked for it."""

    payments_per_s: list[float] = field(default_factory=list)
    bare_per_s: list[float] = field(default_factory=list)
    processor_share: list[float] = field(default_factory=list)

    @property
    def best_per_s(self) -> float:
        """Of the round that was disturbed least."""
        return max(self.payments_per_s)

    @property
    def share_of_ceiling(self) -> float:
        """Of bare signing's best round."""
        return self.best_per_s / max(self.bare_per_s)

    def report(self) -> dict[str, Any]:
        """For the file."""
        return {
            "best_per_s": round(self.best_per_s),
            "median_per_s": round(statistics.median(self.payments_per_s)),
            "bare_coincurve_per_s": round(max(self.bare_per_s)),
            "share_of_ceiling": round(self.share_of_ceiling, 3),
            "rounds": {name: [round(each, 2) for each in found] for name, found in asdict(self).items()},
        }


def measure(node: WalletNode, rounds: Iterable[list[bytes]]) -> Rate:
    """Sign each round's requests. What makes a round's requests is not timed."""
    require_backends()
    rate = Rate()
    for bodies in rounds:
        worked_s, start_s = time.process_time(), time.perf_counter()
        payments = sum(_sign(node, body) for body in bodies)
        passed_s = time.perf_counter() - start_s
        rate.payments_per_s.append(payments / passed_s)
        rate.processor_share.append((time.process_time() - worked_s) / passed_s)
        rate.bare_per_s.append(bare_coincurve(payments))
    return rate


def measure_home(home: SignerHome, effort: Effort, ways: Sequence[Way] = WAYS) -> dict[Way, Rate]:
    """These ways of paying, in a node that was just opened."""
    node = home.open()
    leave_to_stay()
    try:
        rates: dict[Way, Rate] = {}
        if "cold_keys" in ways:
            rates["cold_keys"] = measure(node, _cold(home, effort))
        for at in range(0, len(home.enrolled), BATCH):
            _sign(node, home.request(home.enrolled[at : at + BATCH]))
        for way, proof in _PROOFS.items():
            if way in ways:
                rates[way] = measure(node, _warm(home, effort, proof))
        return rates
    finally:
        node.close()


def _cold(home: SignerHome, effort: Effort) -> Iterable[list[bytes]]:
    """Nobody pays twice; as many rounds as there are wallets for."""
    wallets = home.some(home.wallets, effort.payments)
    a_round = max(BATCH, len(wallets) // effort.rounds // BATCH * BATCH)
    for first in range(0, len(wallets), a_round):
        of_round = wallets[first : first + a_round]
        yield [home.request(of_round[at : at + BATCH]) for at in range(0, len(of_round), BATCH)]


def _warm(home: SignerHome, effort: Effort, proof: Proof) -> Iterable[list[bytes]]:
    for _ in range(effort.rounds):
        yield [home.request(home.some(home.enrolled, BATCH), proof) for _ in range(effort.batches)]


def _sign(node: WalletNode, body: bytes) -> int:
    batch = strict_json.decode(body, PaymentBatch)
    answer = msgspec.json.encode(node.sign_payments(batch))
    assert answer.count(b'"signature"') == len(batch.payments), "everything that is measured must be signed"
    return len(batch.payments)


def bare_coincurve(count: int) -> float:
    """Recoverable signatures a second over digests that are there already."""
    key = PrivateKey(os.urandom(31) + b"\x01")
    digests = [os.urandom(32) for _ in range(count)]
    start_s = time.perf_counter()
    for digest in digests:
        key.sign_recoverable(digest, hasher=None)
    return count / (time.perf_counter() - start_s)


def eth_account(count: int = _ETH_ACCOUNT_SIGNATURES) -> dict[str, float]:
    """Signatures a second of eth-account: over bare digests, and over the payment as an EIP-712 message."""
    account = Account.from_key(os.urandom(31) + b"\x01")
    message = payment_typed_data(
        PaymentDomain(DOMAIN_NAME, CHAIN_ID, CONTRACT), bytes(20), 50, 1, int(time.time())
    )
    rates: dict[str, float] = {}
    ways: dict[str, Callable[[], Any]] = {
        "digests_per_s": lambda: account.unsafe_sign_hash(os.urandom(32)),
        "typed_data_per_s": lambda: account.sign_typed_data(full_message=message),
    }
    for name, sign in ways.items():
        start_s = time.perf_counter()
        for _ in range(count):
            sign()
        rates[name] = round(count / (time.perf_counter() - start_s))
    return rates
