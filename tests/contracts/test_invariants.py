"""Random histories of everything that anybody can do; after each step the money still adds up."""

from eth_hash.auto import keccak
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from contracts import abi
from contracts.abi import AccountFlag, Transfer
from tests.contracts.world import (
    ACCOUNTS_SLOT,
    ALICE,
    BANK_A,
    BANK_B,
    BOB,
    CAROL,
    ISSUER,
    MERCHANT,
    PAUSER,
    RETAIL_TIER,
    SUPPLY,
    UNLINKED,
    Person,
    Refused,
    World,
    account_slot,
)

BANKS = (BANK_A, BANK_B)
CUSTOMERS = (ALICE, BOB, CAROL, MERCHANT, UNLINKED)
EVERYBODY = (*BANKS, *CUSTOMERS)
AMOUNTS = st.one_of(st.integers(0, 200), st.sampled_from([29_999, 30_001, 50_000, 50_001, SUPPLY, 2**40 - 1]))
PEOPLE = st.sampled_from(EVERYBODY)

SUPPLY_SLOT = ACCOUNTS_SLOT + 259
ALLOWANCE_SLOTS = [
    int.from_bytes(keccak(number.to_bytes(32, "big") + (ACCOUNTS_SLOT + 2).to_bytes(32, "big")), "big") + 2
    for number in (1, 2)
]

# Built once: a history starts from its snapshot.
WORLD = World()
START = WORLD.evm.snapshot()


class History(RuleBasedStateMachine):
    """What the ledger of a diligent observer would hold, from events alone, beside the chain."""

    @initialize()
    def begin(self) -> None:
        self.world = WORLD
        self.world.evm.revert(START)
        self.observed = {each.address: self.world.balance(each) for each in EVERYBODY}
        self.approved = 4 * SUPPLY
        self.frozen: dict[Person, int] = {}
        self.nonces = dict.fromkeys(EVERYBODY, 0)

    def send(self, sender: bytes, data: bytes) -> bool:
        """Send; follow the events; a refusal changes nothing."""
        before = self.stored()
        try:
            events = self.world.do(sender, data)
        except Refused:
            assert self.stored() == before
            return False
        for event in events:
            if isinstance(event, Transfer):
                self.observed[event.payer] = self.observed.get(event.payer, 0) - event.amount_minor
                self.observed[event.payee] = self.observed.get(event.payee, 0) + event.amount_minor
        return True

    def stored(self) -> tuple[int, ...]:
        """Every account's word, the supply and the allowances, straight from their slots."""
        slots = [*map(account_slot, EVERYBODY), SUPPLY_SLOT, *ALLOWANCE_SLOTS]
        return tuple(self.world.evm.read_storage(self.world.currency, slot) for slot in slots)

    @rule(payments=st.lists(st.tuples(PEOPLE, PEOPLE, AMOUNTS, st.integers(-1, 1)), min_size=1, max_size=6))
    def settle(self, payments: list[tuple[Person, Person, int, int]]) -> None:
        next_nonce = {each: self.world.account(each).nonce for each in EVERYBODY}
        records = []
        for payer, payee, amount, shift in payments:
            nonce = max(next_nonce[payer] + shift, 0)
            records.append(self.world.sign(payer, payee, amount, nonce=nonce))
            next_nonce[payer] += 1
        for bank in BANKS:
            packed = abi.encode_settle(
                b"".join(map(b"".join, map(_fields, records))), self.world.valid_before_s
            )
            self.send(bank.address, packed)

    @rule(payer=PEOPLE, payee=PEOPLE, amount=AMOUNTS)
    def transfer(self, payer: Person, payee: Person, amount: int) -> None:
        self.send(payer.address, abi.encode_transfer(payee.address, amount))

    @rule(bank=st.sampled_from(BANKS), amount=AMOUNTS)
    def mint(self, bank: Person, amount: int) -> None:
        self.send(bank.address, abi.encode_mint(amount))

    @rule(bank=st.sampled_from(BANKS), amount=AMOUNTS)
    def burn(self, bank: Person, amount: int) -> None:
        self.send(bank.address, abi.encode_burn(amount))

    @rule(number=st.sampled_from([1, 2]), amount=AMOUNTS)
    def approve_minting(self, number: int, amount: int) -> None:
        if self.send(ISSUER, abi.encode_increase_mint_allowance(number, amount)):
            self.approved += amount

    @rule(number=st.sampled_from([1, 2]), amount=AMOUNTS)
    def take_back(self, number: int, amount: int) -> None:
        if self.send(ISSUER, abi.encode_decrease_mint_allowance(number, amount)):
            self.approved -= amount

    @rule(holding=st.sampled_from([10, 30_000, 100_000]))
    def change_limits(self, holding: int) -> None:
        self.world.set_tier(RETAIL_TIER, holding)

    @rule(person=st.sampled_from(CUSTOMERS), is_linked=st.booleans(), tier=st.sampled_from([1, 2]))
    def register(self, person: Person, is_linked: bool, tier: int) -> None:
        for bank in BANKS:
            flags = AccountFlag.LINKED if is_linked else 0
            self.send(bank.address, abi.encode_register([person.address], tier, flags))

    @rule(person=st.sampled_from(CUSTOMERS))
    def freeze(self, person: Person) -> None:
        self.world.mark(person, AccountFlag.FROZEN)
        self.frozen[person] = self.world.balance(person)

    @rule(hours=st.integers(1, 30))
    def wait(self, hours: int) -> None:
        self.world.evm.set_time(self.world.evm.time_s + 3600 * hours)

    @rule()
    def pause_for_a_moment(self) -> None:
        self.send(PAUSER, abi.encode_pause())
        assert not self.send(ALICE.address, abi.encode_transfer(BOB.address, 1))
        self.send(PAUSER, abi.encode_unpause())

    @invariant()
    def the_supply_is_the_sum_of_balances(self) -> None:
        assert self.stored()[len(EVERYBODY)] == sum(self.world.balance(each) for each in EVERYBODY)

    @invariant()
    def supply_and_open_allowances_never_exceed_what_was_approved(self) -> None:
        assert sum(self.stored()[len(EVERYBODY) :]) <= self.approved

    @invariant()
    def the_events_tell_every_balance(self) -> None:
        assert {each.address: self.world.balance(each) for each in EVERYBODY} == {
            each.address: self.observed[each.address] for each in EVERYBODY
        }

    @invariant()
    def frozen_means_frozen(self) -> None:
        for person, balance in self.frozen.items():
            assert self.world.balance(person) == balance

    @invariant()
    def nonces_only_grow(self) -> None:
        for person, nonce in self.nonces.items():
            self.nonces[person] = self.world.account(person).nonce
            assert self.nonces[person] >= nonce


def _fields(record: tuple[bytes, int, int, bytes, bytes]) -> tuple[bytes, ...]:
    payee, amount, nonce, r, vs = record
    return payee, amount.to_bytes(5, "big"), nonce.to_bytes(4, "big"), r, vs


TestHistory = History.TestCase
TestHistory.settings = settings(
    max_examples=12, stateful_step_count=16, deadline=None, suppress_health_check=list(HealthCheck)
)
