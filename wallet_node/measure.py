"""How many payments a second one core signs, beside the ceiling: bare libsecp256k1 in the same run.

The measured path is a request's whole way but for the socket: strict JSON, policy, nonces, journal with its
fsync, signatures, a verified sample, JSON. `florin bench` calls `measure_signing` and prints the ratio.
"""

import os
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import msgspec

from wallet_node import strict_json
from wallet_node.deployment import Binding, bind
from wallet_node.intents import Derivation, PaymentBatch
from wallet_node.keystore.envelopes import KeyDerivation
from wallet_node.keystore.files import create
from wallet_node.keystore.software_key import SoftwareKey
from wallet_node.node import WalletNode
from wallet_node.policy import Policy
from wallet_node.signing import require_backends

_CONTRACT = "0x" + "c0" * 20
_PAYERS = 1_000


@dataclass(frozen=True, slots=True)
class SigningFigures:
    """Rates per second on one core."""

    payments: int
    batch_size: int
    payments_per_s: float
    repeated_payments_per_s: float
    bare_signatures_per_s: float

    @property
    def share_of_ceiling(self) -> float:
        """The node's rate as a share of bare signing."""
        return self.payments_per_s / self.bare_signatures_per_s


def measure_signing(
    home: Path, policy_path: Path, batches: int = 20, batch_size: int = 500
) -> SigningFigures:
    """Make a throwaway node in the empty directory `home` and sign `batches` x `batch_size` new payments."""
    require_backends()
    # The keystore's passphrase is not what is measured: the cheapest terms will do.
    kdf = KeyDerivation(os.urandom(16), memory_kib=8, passes=1, lanes=1)
    secrets = create(home / "keystore", os.urandom(16), ["institution"], kdf)
    bind(home, Binding(31_337, _CONTRACT, "Measured"))
    node = WalletNode(home, secrets, Policy.load(policy_path))
    try:
        payers: list[str] = node.derive(Derivation(tuple(range(_PAYERS))))["addresses"]
        bodies = [_body(payers, number, batch_size) for number in range(batches)]
        total = batches * batch_size
        fresh_s = _timed(node, bodies)
        repeated_s = _timed(node, bodies)
        bare_s = _bare(total)
    finally:
        node.close()
    return SigningFigures(total, batch_size, total / fresh_s, total / repeated_s, total / bare_s)


def _timed(node: WalletNode, bodies: list[bytes]) -> float:
    start = time.perf_counter()
    for body in bodies:
        answer = msgspec.json.encode(node.sign_payments(strict_json.decode(body, PaymentBatch)))
        assert b"refusal" not in answer, "the measured policy must allow what is measured"
    return time.perf_counter() - start


def _bare(count: int) -> float:
    key = SoftwareKey(os.urandom(31) + b"\x01")
    digests = [os.urandom(32) for _ in range(count)]
    start = time.perf_counter()
    for digest in digests:
        key.sign_digest(digest)
    return time.perf_counter() - start


def _body(payers: list[str], number: int, size: int) -> bytes:
    payments = [
        {
            "payment_id": str(uuid.uuid4()),
            "attempt": 1,
            "payer": payers[(number * size + position) % len(payers)],
            "payee": "0x" + os.urandom(20).hex(),
            "amount_minor": 1 + position,
            "nonce_floor": 0,
        }
        for position in range(size)
    ]
    request = {
        "chain_id": 31_337,
        "contract": _CONTRACT,
        "domain_name": "Measured",
        "valid_before_s": int(time.time()) + 600,
        "payments": payments,
    }
    return msgspec.json.encode(request)
