"""The three forms of a batch, so that one test can ask the same of each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from coincurve import PrivateKey
from eth_hash.auto import keccak

from contracts import abi
from contracts.abi import AccountFlag, BatchSettled, Event, Skipped, Transfer, Waterfall
from contracts.batch import Entry, Record, pack, pack_fan_out, pack_grouped
from contracts.typed_data import PaymentDomain, fan_out_digest, payment_digest
from tests.contracts.world import ACCOUNTS_SLOT, BANK_A, Person, Refused, World

# Where the mapping of restrictions is in the structure (DigitalCurrencyStorage.sol).
RESTRICTIONS = 267

Story = list[tuple[bytes, bytes, int] | tuple[bytes, int]]


def compact(key: bytes, digest: bytes) -> tuple[bytes, bytes]:
    """r and vs of a signature (EIP-2098)."""
    signature = PrivateKey(key).sign_recoverable(digest, hasher=None)
    return signature[:32], bytes([signature[32] | signature[64] << 7]) + signature[33:64]


def reasons(events: Sequence[Event]) -> dict[int, str]:
    """Which records were skipped and why."""
    found = next((event.reasons for event in events if isinstance(event, Skipped)), {})
    return {index: reason.name for index, reason in found.items()}


def story(events: Sequence[Event]) -> Story:
    """What moved, without where the logs are."""
    return [
        (event.payer, event.payee, event.amount_minor)
        if isinstance(event, Transfer)
        else (event.bank, event.excess_minor)
        for event in events
        if isinstance(event, Transfer | Waterfall)
    ]


def transfer_each(
    world: World, payments: Sequence[tuple[Person, Person, int]]
) -> tuple[list[str | None], Story]:
    """What the single path says to each payment (None: done), and what moved."""
    outcomes: list[str | None] = []
    moved: Story = []
    for payment in payments:
        try:
            moved += story(world.transfer(*payment))
            outcomes.append(None)
        except Refused as refused:
            outcomes.append(refused.code)
    return outcomes, moved


def consecutive(records: Sequence[Record]) -> list[list[Record]]:
    """Groups of neighbours that share their payee: the order stays."""
    return [list(each) for _, each in groupby(records, key=lambda record: record.payee)]


def hold(world: World, person: Person, held: int) -> None:
    """Hold a part of a balance past every order: flag and amount where the layout says that they are."""
    world.mark(person, AccountFlag.HAS_HOLD)
    key = bytes(12) + person.address + (ACCOUNTS_SLOT + RESTRICTIONS).to_bytes(32, "big")
    world.evm.write_storage(world.currency, int.from_bytes(keccak(key), "big"), held)


def settle_grouped(
    world: World,
    groups: Sequence[Sequence[Record]],
    flat: Sequence[Record] = (),
) -> list[Event]:
    packed = pack_grouped(groups, flat)
    return world.do(BANK_A.address, abi.encode_settle_grouped(packed, world.valid_before_s))


def sign_fan_out(
    world: World,
    payer: Person,
    entries: Sequence[tuple[Person, int]],
    nonce: int | None = None,
    valid_before_s: int | None = None,
    domain: PaymentDomain | None = None,
) -> bytes:
    """The call of a signed fan-out; by default with the payer's next nonce."""
    packed = pack_fan_out(Entry(payee.address, amount) for payee, amount in entries)
    nonce = world.account(payer).nonce if nonce is None else nonce
    expiry = world.valid_before_s if valid_before_s is None else valid_before_s
    digest = fan_out_digest((domain or world.domain).separator, packed, nonce, expiry)
    return abi.encode_settle_fan_out(packed, nonce, expiry, *compact(payer.key, digest))


def settle_fan_out(
    world: World,
    payer: Person,
    *entries: tuple[Person, int],
    sender: Person = BANK_A,
    nonce: int | None = None,
) -> list[Event]:
    return world.do(sender.address, sign_fan_out(world, payer, entries, nonce))


# ------------------------------------------------------------------------------------------ as one

Send = Callable[[World, Sequence[Record], Person, int], list[str | None]]


@dataclass(frozen=True)
class Form:
    """How single payments are signed and sent. ``send`` gives for each why it did not pay, or None.

    A fan-out of one payment is a record of its own kind; several are several calls.
    """

    name: str
    digest: Callable[[bytes, bytes, int, int, int], bytes]
    send: Send

    def sign(
        self,
        world: World,
        payer: Person,
        payee: Person,
        amount: int,
        nonce: int | None = None,
        valid_before_s: int | None = None,
        domain: PaymentDomain | None = None,
    ) -> Record:
        nonce = world.account(payer).nonce if nonce is None else nonce
        expiry = world.valid_before_s if valid_before_s is None else valid_before_s
        digest = self.digest((domain or world.domain).separator, payee.address, amount, nonce, expiry)
        return Record(payee.address, amount, nonce, *compact(payer.key, digest))

    def outcomes(
        self, world: World, *records: Record, sender: Person = BANK_A, valid_before_s: int | None = None
    ) -> list[str | None]:
        expiry = world.valid_before_s if valid_before_s is None else valid_before_s
        return self.send(world, records, sender, expiry)


def _outcomes(events: Sequence[Event]) -> list[str | None]:
    settled = events[-1]
    assert isinstance(settled, BatchSettled)
    skipped = reasons(events)
    assert settled.executed == settled.records - len(skipped)
    return [skipped.get(index) for index in range(settled.records)]


def _send_flat(
    world: World, records: Sequence[Record], sender: Person, valid_before_s: int
) -> list[str | None]:
    return _send_once(world, sender, abi.encode_settle(pack(records), valid_before_s), len(records))


def _send_grouped(
    world: World, records: Sequence[Record], sender: Person, valid_before_s: int
) -> list[str | None]:
    packed = pack_grouped(consecutive(records))
    return _send_once(world, sender, abi.encode_settle_grouped(packed, valid_before_s), len(records))


def _send_behind_groups(
    world: World, records: Sequence[Record], sender: Person, valid_before_s: int
) -> list[str | None]:
    """The first in a group, the others flat behind it."""
    packed = pack_grouped([records[:1]], records[1:])
    return _send_once(world, sender, abi.encode_settle_grouped(packed, valid_before_s), len(records))


def _send_fan_out(
    world: World, records: Sequence[Record], sender: Person, valid_before_s: int
) -> list[str | None]:
    outcomes: list[str | None] = []
    for payee, amount, nonce, r, vs in records:
        packed = pack_fan_out([Entry(payee, amount)])
        data = abi.encode_settle_fan_out(packed, nonce, valid_before_s, r, vs)
        outcomes += _send_once(world, sender, data, 1)
    return outcomes


def _send_once(world: World, sender: Person, data: bytes, count: int) -> list[str | None]:
    try:
        return _outcomes(world.do(sender.address, data))
    except Refused as refused:
        return [refused.code] * count


def _digest_of_entry(separator: bytes, payee: bytes, amount: int, nonce: int, valid_before_s: int) -> bytes:
    return fan_out_digest(separator, pack_fan_out([Entry(payee, amount)]), nonce, valid_before_s)


FLAT = Form("flat", payment_digest, _send_flat)
GROUPED = Form("grouped", payment_digest, _send_grouped)
BEHIND_GROUPS = Form("behind groups", payment_digest, _send_behind_groups)
FAN_OUT = Form("fan-out", _digest_of_entry, _send_fan_out)

# ------------------------------------------------------------------------------------------ ways to pay


def pay_in_group(world: World, payer: Person, payee: Person, amount: int) -> list[Event]:
    """As the first of its tiers: decided rule by rule."""
    return settle_grouped(world, [[world.sign(payer, payee, amount)]])


def pay_later_in_group(world: World, payer: Person, payee: Person, amount: int) -> list[Event]:
    """After a record that met the same tiers: all rules are asked at once."""
    nonce = world.account(payer).nonce
    records = [world.sign(payer, payee, each, nonce=nonce + at) for at, each in enumerate((0, amount))]
    return settle_grouped(world, [records])


def pay_in_fan_out(world: World, payer: Person, payee: Person, amount: int) -> list[Event]:
    """As the first entry."""
    return settle_fan_out(world, payer, (payee, amount))


def pay_later_in_fan_out(world: World, payer: Person, payee: Person, amount: int) -> list[Event]:
    """After an entry that met the same tiers."""
    return settle_fan_out(world, payer, (payee, 0), (payee, amount))


WAYS = (pay_in_group, pay_later_in_group, pay_in_fan_out, pay_later_in_fan_out)
