"""Random histories of everything that anybody can do; after each step the money still adds up."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from eth_hash.auto import keccak
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from trie import HexaryTrie
from trie.iter import NodeIterator

from contracts import abi, memberships, orders
from contracts.abi import AccountFlag, AccountWord, Event, Skipped, Transfer
from contracts.batch import pack
from contracts.memberships import AccountMove
from tests.contracts.depth import bounds
from tests.contracts.eth_tester_chain import CHAIN_ID, EthTesterChain
from tests.contracts.world import (
    ACCOUNTS_SLOT,
    ALICE,
    BANK_A,
    BANK_B,
    BOB,
    CAROL,
    COURT,
    GOVERNOR,
    ISSUER,
    MERCHANT,
    MERCHANT_HOLDING,
    MERCHANT_TIER,
    NAME,
    PAUSER,
    REGISTRAR,
    RETAIL_HOLDING,
    RETAIL_TIER,
    SUPERVISOR,
    SUPPLY,
    TAX_OFFICE,
    UNLINKED,
    UPGRADE_DELAY_S,
    UPGRADER,
    Person,
    Refused,
    World,
    account_slot,
    sign_digest,
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

IMPLEMENTATION_SLOT = int.from_bytes(keccak(b"eip1967.proxy.implementation"), "big") - 1
DELAY_SLOT = int("dd25c3f20a0e04edff47beec828f1a555e933bb67c83d292f1bd81481bb8d900", 16)
UPGRADES_OWN = {
    keccak(slot.to_bytes(32, "big")) for slot in (IMPLEMENTATION_SLOT, DELAY_SLOT, DELAY_SLOT + 1)
}

ORDER_CAP = 70_000
AUTHORITIES = {
    keccak(name.encode()): authority
    for name, authority in (("court", COURT), ("court again", COURT), ("tax office", TAX_OFFICE))
}
ORDERS = st.sampled_from(list(AUTHORITIES))
ROLES_AND_AUTHORITIES = (GOVERNOR, ISSUER, PAUSER, UPGRADER, SUPERVISOR, REGISTRAR, COURT, TAX_OFFICE)


def prepare(world: World) -> tuple[World, Any, list[bytes]]:
    """Orders, two further implementations, and a snapshot: a world is built once, a history starts there."""
    for order, authority in AUTHORITIES.items():
        world.do(REGISTRAR, orders.encode_register_order(order, authority, ORDER_CAP, 2**40))
    successors = [
        world.create(abi.implementation_creation_code(world.administration, NAME)) for _ in range(2)
    ]
    return world, world.evm.snapshot(), successors


PREPARED = prepare(World())


class History(RuleBasedStateMachine):
    """What the ledger of a diligent observer would hold, from events alone, beside the chain."""

    prepared = PREPARED

    @initialize()
    def begin(self) -> None:
        self.world, start, self.successors = self.prepared
        self.world.evm.revert(start)
        self.stored = self.read()
        self.events: Sequence[Event] = ()
        self.observed = {each.address: self.account(each).balance for each in EVERYBODY}
        self.approved = 4 * SUPPLY
        self.frozen: set[tuple[bytes, Person]] = set()
        self.suspended: set[Person] = set()
        self.held: Counter[tuple[bytes, Person]] = Counter()
        self.moved: Counter[bytes] = Counter()
        self.resting: dict[Person, int] = {}
        self.nonces = dict.fromkeys(EVERYBODY, 0)
        self.executed: set[tuple[Person, int]] = set()
        self.limits = {RETAIL_TIER: RETAIL_HOLDING, MERCHANT_TIER: MERCHANT_HOLDING}

    def send(self, sender: bytes, data: bytes, *, is_under_order: bool = False) -> bool:
        """Send; follow the events; a refusal changes nothing, and nobody is paid above its tier."""
        before = {each: self.account(each) for each in EVERYBODY}
        try:
            self.events = self.world.do(sender, data)
        except Refused:
            assert self.read() == self.stored
            return False
        self.stored = self.read()
        for each in EVERYBODY:
            left = self.account(each)
            assert left.balance >= min(before[each].balance, self.held_of(each)), "what is held was paid away"
            is_limited = not is_under_order and not left.has(AccountFlag.INSTITUTION)
            if is_limited and left.balance > before[each].balance:
                assert left.balance <= self.limits[left.tier], "it was paid above its tier"
        for event in self.events:
            if isinstance(event, Transfer):
                self.observed[event.payer] = self.observed.get(event.payer, 0) - event.amount_minor
                self.observed[event.payee] = self.observed.get(event.payee, 0) + event.amount_minor
        return True

    def read(self) -> tuple[int, ...]:
        """Every account's word, the supply and the allowances, straight from their slots."""
        slots = [*map(account_slot, EVERYBODY), SUPPLY_SLOT, *ALLOWANCE_SLOTS]
        return tuple(self.world.evm.read_storage(self.world.currency, slot) for slot in slots)

    def account(self, person: Person) -> AccountWord:
        """As it was left by what was sent last."""
        return abi.decode_account_word(self.stored[EVERYBODY.index(person)])

    def use(self, person: Person, nonce: int) -> None:
        assert (person, nonce) not in self.executed, "one nonce executed twice"
        self.executed.add((person, nonce))

    def held_of(self, person: Person) -> int:
        return sum(amount for (_, each), amount in self.held.items() if each is person)

    def is_stopped(self, person: Person) -> bool:
        return person in self.suspended or any(each is person for _, each in self.frozen)

    def settle_down(self) -> None:
        """Remember the balances of those who can neither pay nor be paid; forget those who can again."""
        stopped = [each for each in EVERYBODY if self.is_stopped(each)]
        self.resting = {each: self.resting.get(each, self.account(each).balance) for each in stopped}

    @rule(payments=st.lists(st.tuples(PEOPLE, PEOPLE, AMOUNTS, st.integers(-1, 1)), min_size=1, max_size=6))
    def settle(self, payments: list[tuple[Person, Person, int, int]]) -> None:
        next_nonce = {each: self.account(each).nonce for each in EVERYBODY}
        expiry = self.world.valid_before_s
        records = []
        for payer, payee, amount, shift in payments:
            nonce = max(next_nonce[payer] + shift, 0)
            records.append(self.world.sign(payer, payee, amount, nonce=nonce, valid_before_s=expiry))
            next_nonce[payer] += 1
        packed = pack(records)
        for bank in BANKS:
            if not self.send(bank.address, abi.encode_settle(packed, expiry)):
                continue
            skipped = [
                index for event in self.events if isinstance(event, Skipped) for index in event.reasons
            ]
            for index, (payer, *_) in enumerate(payments):
                if index not in skipped:
                    self.use(payer, records[index].nonce)

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
        unlimited_daily = 2**64 - 1
        if self.send(GOVERNOR, abi.encode_set_tier(RETAIL_TIER, holding, holding, unlimited_daily)):
            self.limits[RETAIL_TIER] = holding

    @rule(person=st.sampled_from(CUSTOMERS), is_linked=st.booleans(), tier=st.sampled_from([1, 2]))
    def register(self, person: Person, is_linked: bool, tier: int) -> None:
        for bank in BANKS:
            flags = AccountFlag.LINKED if is_linked else 0
            self.send(bank.address, abi.encode_register([person.address], tier, flags))

    @rule(order=ORDERS, person=PEOPLE)
    def freeze(self, order: bytes, person: Person) -> None:
        if self.send(AUTHORITIES[order], orders.encode_freeze(order, person.address)):
            self.frozen.add((order, person))
        self.settle_down()

    @rule(order=ORDERS, person=PEOPLE)
    def unfreeze(self, order: bytes, person: Person) -> None:
        if self.send(AUTHORITIES[order], orders.encode_unfreeze(order, person.address)):
            self.frozen.remove((order, person))
        self.settle_down()

    @rule(order=ORDERS, person=PEOPLE, amount=AMOUNTS)
    def hold(self, order: bytes, person: Person, amount: int) -> None:
        if self.send(AUTHORITIES[order], orders.encode_hold(order, person.address, amount)):
            self.held[order, person] += amount

    @rule(order=ORDERS, person=PEOPLE, part=st.integers(0, 5))
    def release(self, order: bytes, person: Person, part: int) -> None:
        amount = self.held[order, person] * part // 4
        self.held[order, person] -= amount  # it may be paid away from now on
        if not self.send(AUTHORITIES[order], orders.encode_release(order, person.address, amount)):
            self.held[order, person] += amount

    @rule(order=ORDERS, payer=PEOPLE, payee=PEOPLE, amount=AMOUNTS)
    def force_transfer(self, order: bytes, payer: Person, payee: Person, amount: int) -> None:
        from_hold = min(self.held[order, payer], amount)
        self.held[order, payer] -= from_hold
        data = orders.encode_force_transfer(order, payer.address, payee.address, amount)
        if not self.send(AUTHORITIES[order], data, is_under_order=True):
            self.held[order, payer] += from_hold
            return
        self.moved[order] += amount
        for person, change in ((payer, -amount), (payee, amount)):
            if person in self.resting:
                self.resting[person] += change

    @rule(bank=st.sampled_from(BANKS))
    def suspend(self, bank: Person) -> None:
        if self.send(SUPERVISOR, memberships.encode_suspend_participant(BANKS.index(bank) + 1)):
            self.suspended.add(bank)
        self.settle_down()

    @rule(bank=st.sampled_from(BANKS))
    def reinstate(self, bank: Person) -> None:
        if self.send(SUPERVISOR, memberships.encode_reinstate_participant(BANKS.index(bank) + 1)):
            self.suspended.remove(bank)
        self.settle_down()

    @rule(bank=st.sampled_from(BANKS), person=st.sampled_from(CUSTOMERS), ahead=st.integers(-1, 3))
    def move(self, bank: Person, person: Person, ahead: int) -> None:
        account = self.account(person)
        move = AccountMove(
            person.address,
            BANKS.index(bank) + 1,
            RETAIL_TIER,
            AccountFlag.LINKED,
            max(account.nonce + ahead, 0),
            self.world.valid_before_s,
        )
        signature = sign_digest(person, move.digest(self.world.domain.separator))
        if self.send(bank.address, memberships.encode_move_account(move, signature)):
            self.use(person, move.nonce)
            moved = self.account(person)
            assert (moved.balance, moved.nonce) == (account.balance, move.nonce + 1)
            assert moved.participant == move.participant != account.participant

    @rule(hours=st.integers(1, 30))
    def wait(self, hours: int) -> None:
        self.world.evm.set_time(self.world.evm.time_s + 3600 * hours)

    @rule()
    def upgrade(self) -> None:
        successor = self.successors[0]
        self.successors = self.successors[::-1]
        assert self.send(UPGRADER, abi.encode_propose_upgrade(successor))
        assert not self.send(UPGRADER, abi.encode_upgrade(successor))
        self.world.evm.set_time(self.world.evm.time_s + UPGRADE_DELAY_S)
        before = self.kept()
        assert self.send(UPGRADER, abi.encode_upgrade(successor))
        assert self.kept() == before, "an upgrade wrote a slot"

    def kept(self) -> dict[bytes, bytes]:
        """All that the currency stores, by its slots' hashes, but for its code and what is proposed."""
        trie = HexaryTrie(self.world.evm.database, self.world.evm.storage_root(self.world.currency))
        return {slot: word for slot, word in NodeIterator(trie).items() if slot not in UPGRADES_OWN}

    @rule()
    def pause_for_a_moment(self) -> None:
        self.send(PAUSER, abi.encode_pause())
        assert not self.send(ALICE.address, abi.encode_transfer(BOB.address, 1))
        self.send(PAUSER, abi.encode_unpause())

    @invariant()
    def the_supply_is_the_sum_of_balances(self) -> None:
        assert self.stored[len(EVERYBODY)] == sum(self.account(each).balance for each in EVERYBODY)

    @invariant()
    def supply_and_open_allowances_never_exceed_what_was_approved(self) -> None:
        assert sum(self.stored[len(EVERYBODY) :]) <= self.approved

    @invariant()
    def the_events_tell_every_balance(self) -> None:
        assert {each.address: self.account(each).balance for each in EVERYBODY} == {
            each.address: self.observed[each.address] for each in EVERYBODY
        }

    @invariant()
    def who_is_frozen_or_suspended_keeps_its_balance_but_for_orders(self) -> None:
        assert {each: self.account(each).balance for each in self.resting} == self.resting

    @invariant()
    def orders_do_what_was_done_under_them_and_no_more(self) -> None:
        for order in AUTHORITIES:
            held = sum(amount for (each, _), amount in self.held.items() if each == order)
            registered = orders.decode_order(self.world.read(orders.encode_order(order)))
            assert registered.used_minor == held + self.moved[order] <= ORDER_CAP
        for person in EVERYBODY:
            freezes = sum(each is person for _, each in self.frozen)
            restriction = orders.decode_restriction(
                self.world.read(orders.encode_restriction(person.address))
            )
            assert restriction == (self.held_of(person), freezes)
            account = self.account(person)
            assert account.has(AccountFlag.FROZEN) == (freezes > 0)
            assert account.has(AccountFlag.HAS_HOLD) == (self.held_of(person) > 0)

    @invariant()
    def nonces_only_grow(self) -> None:
        for person, nonce in self.nonces.items():
            self.nonces[person] = self.account(person).nonce
            assert self.nonces[person] >= nonce


class HistoryOnEthTester(History):
    """The same, of signed transactions in blocks: what eth-tester's own class runs."""

    prepared = prepare(World(evm=EthTesterChain(EVERYBODY, ROLES_AND_AUTHORITIES), chain_id=CHAIN_ID))


TestHistory = History.TestCase
TestHistory.settings = bounds(examples=16, steps=30)
TestHistoryOnEthTester = HistoryOnEthTester.TestCase
TestHistoryOnEthTester.settings = bounds(examples=3, steps=40)
