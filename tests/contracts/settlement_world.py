"""Five banks on one currency, its Settlement and the Trades contract, and verbs in the tests' own words."""

from collections.abc import Iterable
from typing import Any

from contracts import abi, settlement, trades
from contracts.abi import AccountFlag
from contracts.events import Event
from contracts.gridlock import QueuedPayment
from contracts.local_evm import CHAIN_ID
from contracts.settlement import Participant, Payment, Priority
from contracts.settlement_events import Leg, PaymentQueued, decode_settlement_logs
from tests.contracts.world import (
    BANK_A,
    BANK_B,
    DEPLOYER,
    GOVERNOR,
    INSTITUTIONS_TIER,
    ISSUER,
    SUPPLY,
    Person,
    Refused,
    World,
)

OPERATOR = bytes([0xA6] * 20)
BANK_C, BANK_D, BANK_E = (Person.named(f"bank {letter}") for letter in "cde")
# Participants 1 to 5: 1 is alone in its slot, 2 and 3 share one, as do 4 and 5.
BANKS = (BANK_A, BANK_B, BANK_C, BANK_D, BANK_E)
A, B, C, D, E = range(1, 6)
IDS = (A, B, C, D, E)

SUSPENDED = 128
FUNDS = 1_000


class SettlementWorld(World):
    """The currency's world with a settlement; every bank has approved it, and none has deposited."""

    def __init__(self) -> None:
        super().__init__()
        for number, bank in enumerate(BANKS[2:], start=3):
            self.do(GOVERNOR, abi.encode_set_participant(number, bank.address, INSTITUTIONS_TIER, 0b110))
            self.do(ISSUER, abi.encode_increase_mint_allowance(number, 2 * SUPPLY))
            self.do(bank.address, abi.encode_mint(SUPPLY))
        self.settlement = self._create(settlement.settlement_creation_code(self.currency, OPERATOR))
        self.trades = self._create(trades.trades_creation_code())
        # As a system account, which only its own transferFrom pays.
        system = AccountFlag.REGISTERED | AccountFlag.SYSTEM
        self.set_account(Person(b"", self.settlement), tier=INSTITUTIONS_TIER, flags=system)
        for bank in BANKS:
            self.do(bank.address, abi.encode_approve(self.settlement, 2**256 - 1))
        self._references = 0

    def _create(self, code: bytes) -> bytes:
        creation = self.evm.send(DEPLOYER, b"", code)
        assert creation.is_success, abi.decode_revert(creation.returned)
        return creation.created

    # ------------------------------------------------------------------------------- sending and reading

    def settle_do(self, sender: bytes, data: bytes, to: bytes | None = None) -> list[Event]:
        """Send to the settlement (or trades), and return its own events. Raises Refused."""
        target = to or self.settlement
        outcome = self.evm.send(sender, target, data)
        if not outcome.is_success:
            raise Refused(*abi.decode_revert(outcome.returned))
        own = [log for log in outcome.logs if log["address"] == "0x" + target.hex()]
        return decode_settlement_logs(own)

    def settle_read(self, data: bytes) -> bytes:
        outcome = self.evm.call(self.settlement, data)
        assert outcome.is_success, abi.decode_revert(outcome.returned)
        return outcome.returned

    def participant(self, number: int) -> Participant:
        return settlement.decode_participant(self.settle_read(settlement.encode_participant(number)))

    def payment(self, identifier: bytes) -> Payment:
        return settlement.decode_payment(self.settle_read(settlement.encode_payment(identifier)))

    def funds(self, numbers: Iterable[int] = IDS) -> list[int]:
        return [self.participant(number).balance_minor for number in numbers]

    def held_by_settlement(self) -> int:
        return abi.decode_uint(self.read(abi.encode_balance_of(self.settlement)))

    def settlement_root(self) -> bytes:
        """Equal just when the settlement's storage is."""
        return self.evm.storage_root(self.settlement)

    # ------------------------------------------------------------------------------- verbs

    def deposit(self, number: int, amount: int = FUNDS) -> list[Event]:
        return self.settle_do(bank_of(number), settlement.encode_deposit(amount))

    def withdraw(self, number: int, amount: int) -> list[Event]:
        return self.settle_do(bank_of(number), settlement.encode_withdraw(amount))

    def set_cap(self, number: int, cap: int = settlement.NO_NET_DEBIT_CAP) -> list[Event]:
        return self.settle_do(bank_of(number), settlement.encode_set_net_debit_cap(cap))

    def refresh(self, number: int) -> list[Event]:
        return self.settle_do(DEPLOYER, settlement.encode_refresh_standing(number))

    def new_id(self, payer: int) -> bytes:
        self._references += 1
        return settlement.payment_id(payer, self._references.to_bytes(16, "big"))

    def submit(
        self,
        payer: int,
        payee: int,
        amount: int,
        priority: int = Priority.NORMAL,
        expiry_s: int = settlement.NEVER_EXPIRES_S,
        identifier: bytes | None = None,
    ) -> Event:
        identifier = identifier or self.new_id(payer)
        data = settlement.encode_submit(identifier, payee, amount, priority, expiry_s)
        (event,) = self.settle_do(bank_of(payer), data)
        return event

    def queue(self, payer: int, payee: int, amount: int, priority: int = Priority.NORMAL) -> QueuedPayment:
        """Submit what must wait."""
        event = self.submit(payer, payee, amount, priority)
        assert isinstance(event, PaymentQueued)
        return QueuedPayment(event.payment_id, payer, payee, amount, priority)

    def resolve(self, *payments: QueuedPayment | bytes) -> list[Event]:
        identifiers = [each if isinstance(each, bytes) else each.payment_id for each in payments]
        return self.settle_do(DEPLOYER, settlement.encode_resolve(identifiers))

    def settle_net(self, positions: dict[int, int], cycle: int = 1) -> list[Event]:
        packed = settlement.pack_positions(positions)
        return self.settle_do(OPERATOR, settlement.encode_settle_net(cycle, bytes(32), packed))

    def suspend(self, number: int) -> None:
        self.mark_institution(number, SUSPENDED)

    def mark_institution(self, number: int, flag: int) -> None:
        bank = BANKS[number - 1]
        self.set_account(bank, flags=self.account(bank).flags | flag)

    def reinstate(self, number: int) -> None:
        bank = BANKS[number - 1]
        self.set_account(bank, flags=AccountFlag.REGISTERED | AccountFlag.INSTITUTION)

    # ------------------------------------------------------------------------------- trades

    def trade_do(self, sender: bytes, data: bytes) -> list[Event]:
        return self.settle_do(sender, data, to=self.trades)

    def trade(self, identifier: bytes) -> trades.Trade:
        outcome = self.evm.call(self.trades, trades.encode_trade(identifier))
        return trades.decode_trade(outcome.returned)

    def propose(self, proposer: bytes, legs: list[Leg], expiry_s: int, salt: bytes = bytes(32)) -> bytes:
        """Propose a trade; return the id."""
        self.trade_do(proposer, trades.encode_propose_trade(legs, expiry_s, salt))
        domain = trades.TradesDomain(CHAIN_ID, self.trades)
        return trades.trade_id(domain, proposer, legs, expiry_s, salt)


def bank_of(number: int) -> bytes:
    return BANKS[number - 1].address


def arguments_of(refusal: Any) -> tuple[str, dict[str, Any]]:
    """The code and the arguments of what pytest.raises(Refused) caught."""
    return refusal.value.code, refusal.value.arguments
