"""A currency on an in-process EVM, with two banks and a few customers whose keys the tests hold."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from coincurve import PrivateKey
from eth_hash.auto import keccak

from contracts import abi, orders
from contracts.abi import AccountFlag, AccountWord, Event
from contracts.batch import Record, SkipReason, pack
from contracts.local_evm import CHAIN_ID, LocalEvm, Outcome
from contracts.transactions import address_of
from contracts.typed_data import PaymentDomain, payment_digest

NAME = "Czech koruna"
DEPLOYER, GOVERNOR, ISSUER, PAUSER, UPGRADER, SUPERVISOR, REGISTRAR = (
    bytes([index] * 20) for index in range(0xA1, 0xA8)
)
NOBODY = bytes([0xEE] * 20)
# The authorities of orders.
COURT, TAX_OFFICE = bytes([0xC0] * 20), bytes([0xC1] * 20)
UPGRADE_DELAY_S = 172_800

INSTITUTIONS_TIER, RETAIL_TIER, MERCHANT_TIER = 0, 1, 2
RETAIL_HOLDING, RETAIL_PER_PAYMENT, RETAIL_DAILY = 100_000, 50_000, 80_000
MERCHANT_HOLDING = 30_000
NO_LIMIT = 2**64 - 1
SUPPLY = 10_000_000

ACCOUNTS_SLOT = int("9dc49bc1864aff589d87547887b7eef9e5e6f06fefb080e4b56b3348da10fe00", 16)


@dataclass(frozen=True)
class Person:
    """Somebody with a key."""

    key: bytes
    address: bytes

    @staticmethod
    def named(name: str) -> "Person":
        key = keccak(name.encode())
        return Person(key, address_of(key))


BANK_A, BANK_B = Person.named("bank a"), Person.named("bank b")
# ALICE and BOB bank at A, CAROL at B; all linked. MERCHANT is B's, linked, with little room. UNLINKED is A's.
ALICE, BOB, CAROL, MERCHANT, UNLINKED, STRANGER = map(
    Person.named, ("alice", "bob", "carol", "merchant", "unlinked", "stranger")
)


class Refused(Exception):
    """A transaction reverted."""

    def __init__(self, code: str, arguments: dict[str, Any]) -> None:
        super().__init__(code, arguments)
        self.code = code
        self.arguments = arguments


class World:
    """The chain, the proxy, and verbs in the tests' own words."""

    def __init__(self, *, emits_transfers: bool = True, evm: Any = None, chain_id: int = CHAIN_ID) -> None:
        """On a ``LocalEvm`` of its own, or on a chain with its verbs that can send as each role."""
        self.evm = LocalEvm() if evm is None else evm
        self.administration = self.create(abi.administration_creation_code())
        self.implementation = self.create(
            abi.implementation_creation_code(self.administration, NAME, emits_transfers=emits_transfers)
        )
        roles = (GOVERNOR, ISSUER, PAUSER, UPGRADER, SUPERVISOR, REGISTRAR)
        initialisation = abi.encode_initialize(NAME, "CZK", 2, roles, UPGRADE_DELAY_S)
        self.currency = self.create(abi.proxy_creation_code(self.implementation, initialisation))
        self.domain = PaymentDomain(NAME, chain_id, self.currency)
        self._populate()

    def _populate(self) -> None:
        self.do(GOVERNOR, abi.encode_set_tier(INSTITUTIONS_TIER, 2**96 - 1, NO_LIMIT, NO_LIMIT))
        self.do(GOVERNOR, abi.encode_set_tier(RETAIL_TIER, RETAIL_HOLDING, RETAIL_PER_PAYMENT, RETAIL_DAILY))
        self.do(GOVERNOR, abi.encode_set_tier(MERCHANT_TIER, MERCHANT_HOLDING, MERCHANT_HOLDING, NO_LIMIT))
        for number, bank in ((1, BANK_A), (2, BANK_B)):
            self.do(GOVERNOR, abi.encode_set_participant(number, bank.address, INSTITUTIONS_TIER, 0b110))
            self.do(ISSUER, abi.encode_increase_mint_allowance(number, 2 * SUPPLY))
            self.do(bank.address, abi.encode_mint(SUPPLY))
        self.register(BANK_A, [ALICE, BOB], RETAIL_TIER)
        self.register(BANK_B, [CAROL], RETAIL_TIER)
        self.register(BANK_B, [MERCHANT], MERCHANT_TIER)
        self.register(BANK_A, [UNLINKED], MERCHANT_TIER, flags=0)
        for customer in (ALICE, BOB):
            self.do(BANK_A.address, abi.encode_transfer(customer.address, 60_000))

    def create(self, code: bytes) -> bytes:
        """Create a contract; return its address."""
        creation = self.evm.send(DEPLOYER, b"", code)
        assert creation.is_success, abi.decode_revert(creation.returned)
        return creation.created

    def create_from_runtime(self, runtime: bytes) -> bytes:
        """Create a contract that has this code, of at most 255 bytes; return its address."""
        size = len(runtime).to_bytes(1, "big")
        head = bytes.fromhex("60") + size + bytes.fromhex("600c60003960") + size + bytes.fromhex("6000f3")
        return self.create(head + runtime)

    def attempt(self, sender: bytes, data: bytes) -> Outcome:
        return self.evm.send(sender, self.currency, data)

    def do(self, sender: bytes, data: bytes) -> list[Event]:
        """Send, and return the events. Raises Refused."""
        outcome = self.attempt(sender, data)
        if not outcome.is_success:
            raise Refused(*abi.decode_revert(outcome.returned))
        assert all(log["address"] == "0x" + self.currency.hex() for log in outcome.logs)
        return abi.decode_logs(outcome.logs)

    def refusal(self, sender: bytes, data: bytes) -> tuple[str, dict[str, Any]]:
        """The code and arguments of a refusal, after which nothing has changed."""
        before = self.fingerprint()
        outcome = self.attempt(sender, data)
        assert not outcome.is_success, "it was not refused"
        assert self.fingerprint() == before
        return abi.decode_revert(outcome.returned)

    def register_order(
        self,
        name: str = "order",
        *,
        authority: bytes = COURT,
        cap: int = 1_000_000,
        expiry_s: int | None = None,
    ) -> bytes:
        """Register an order, usable for a day unless told otherwise; return its id."""
        order = keccak(name.encode())
        expiry_s = self.evm.time_s + 86_400 if expiry_s is None else expiry_s
        self.do(REGISTRAR, orders.encode_register_order(order, authority, cap, expiry_s))
        return order

    def pause(self) -> None:
        self.do(PAUSER, abi.encode_pause())

    def wait(self, seconds: int) -> None:
        self.evm.set_time(self.evm.time_s + seconds)

    def read(self, data: bytes) -> bytes:
        outcome = self.evm.call(self.currency, data)
        if not outcome.is_success:
            raise Refused(*abi.decode_revert(outcome.returned))
        return outcome.returned

    def register(
        self, bank: Person, people: Iterable[Person], tier: int, flags: int = AccountFlag.LINKED
    ) -> list[Event]:
        return self.do(bank.address, abi.encode_register([each.address for each in people], tier, flags))

    def transfer(self, payer: Person, payee: Person, amount: int) -> list[Event]:
        return self.do(payer.address, abi.encode_transfer(payee.address, amount))

    def set_tier(
        self, tier: int, holding: int, per_payment: int | None = None, daily: int = NO_LIMIT
    ) -> list[Event]:
        per_payment = min(holding, NO_LIMIT) if per_payment is None else per_payment
        return self.do(GOVERNOR, abi.encode_set_tier(tier, holding, per_payment, daily))

    @property
    def valid_before_s(self) -> int:
        return self.evm.time_s + 600

    def sign(
        self,
        payer: Person,
        payee: Person,
        amount: int,
        nonce: int | None = None,
        valid_before_s: int | None = None,
        domain: PaymentDomain | None = None,
    ) -> Record:
        """A payment's record; by default with the payer's next nonce and the batch's own expiry."""
        if nonce is None:
            nonce = self.account(payer).nonce
        digest = payment_digest(
            (domain or self.domain).separator,
            payee.address,
            amount,
            nonce,
            self.valid_before_s if valid_before_s is None else valid_before_s,
        )
        signature = sign_digest(payer, digest)
        vs = bytes([signature[32] | (signature[64] - 27) << 7]) + signature[33:64]
        return Record(payee.address, amount, nonce, signature[:32], vs)

    def settle(
        self, *records: Record, sender: Person = BANK_A, valid_before_s: int | None = None
    ) -> list[Event]:
        expiry = self.valid_before_s if valid_before_s is None else valid_before_s
        return self.do(sender.address, abi.encode_settle(pack(records), expiry))

    def skips(self, *records: Record, sender: Person = BANK_A) -> dict[int, SkipReason]:
        """Settle, and return which records were skipped and why."""
        events = self.settle(*records, sender=sender)
        return next((event.reasons for event in events if isinstance(event, abi.Skipped)), {})

    def word(self, person: Person) -> int:
        return abi.decode_words(self.read(abi.encode_account_words([person.address])))[0]

    def account(self, person: Person) -> AccountWord:
        return abi.decode_account_word(self.evm.read_storage(self.currency, account_slot(person)))

    def balance(self, person: Person) -> int:
        return self.account(person).balance

    def set_account(self, person: Person, **fields: int) -> None:
        """Write an account past every rule."""
        account = self.account(person)._replace(**fields)
        self.evm.write_storage(self.currency, account_slot(person), abi.encode_account_word(account))

    def mark(self, person: Person, flag: AccountFlag) -> None:
        self.set_account(person, flags=self.account(person).flags | flag)

    def supply(self) -> int:
        return abi.decode_uint(self.read(abi.encode_total_supply()))

    def fingerprint(self) -> bytes:
        """Equal just when the contract's storage is."""
        return self.evm.storage_root(self.currency)


def sign_digest(person: Person, digest: bytes) -> bytes:
    """A key's signature: r, s, v."""
    signature: bytes = PrivateKey(person.key).sign_recoverable(digest, hasher=None)
    return signature[:64] + bytes([27 + signature[64]])


def account_slot(person: Person) -> int:
    """Where the layout says that an account's word is: ERC-7201, first member."""
    key = bytes(12) + person.address + ACCOUNTS_SLOT.to_bytes(32, "big")
    return int.from_bytes(keccak(key), "big")
