"""What a batch is decided on: loaded in sets, and moved on in memory as its requests are decided in order."""

from __future__ import annotations

import dataclasses
import uuid
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from api.payments import queries
from api.payments.rules import LINKED, Case, ChainAccount, Conditions, Funds, Mandate, Tier

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from api.database import Connection
    from api.payments.requests import PaymentRequest


@dataclass(frozen=True, slots=True)
class Wallet:
    """A wallet of this bank: what of it never changes, its address once it has one, and whether this bank
    ever had it on chain.
    """

    wallet_id: uuid.UUID
    ledger_account_id: int
    deposit_account_id: int | None
    address: bytes | None
    was_registered: bool


@dataclass(frozen=True, slots=True)
class Resolved:
    """The names of one request, resolved. `payee_address` is None where the name means nothing here."""

    wallet: Wallet
    payee_address: bytes | None
    payee_wallet: Wallet | None
    biller_id: uuid.UUID | None
    is_redemption: bool


class Directory:
    """Resolves what callers name: wallets and billers. Nothing here can change between two requests."""

    def __init__(
        self,
        wallets: Iterable[Any],
        billers: Mapping[str, Any],
        mandates: Mapping[uuid.UUID, Any],
        institution_address: bytes | None,
    ) -> None:
        self._wallets: dict[str | uuid.UUID | bytes, Wallet] = {}
        for row in wallets:
            wallet = Wallet(
                row["id"],
                row["ledger_account_id"],
                row["deposit_account_id"],
                row["address"],
                row["was_registered"],
            )
            self._wallets[row["reference"]] = self._wallets[row["id"]] = wallet
            if row["address"]:
                self._wallets[row["address"]] = wallet
        self._billers = billers
        self._mandates = {
            mandate_id: Mandate(
                row["state"], row["payer"], row["payee"], row["cap_minor"], row["starts_at_s"],
                row["expires_at_s"],
            )
            for mandate_id, row in mandates.items()
        }  # fmt: skip
        self._institution_address = institution_address

    @classmethod
    async def load(
        cls, conn: Connection, requests: Sequence[PaymentRequest], institution_address: bytes | None
    ) -> Directory:
        """Everything that `requests` name."""
        references = {request.wallet for request in requests if isinstance(request.wallet, str)}
        references |= {
            request.payee.wallet_reference for request in requests if request.payee.wallet_reference
        }
        ids = {request.wallet for request in requests if isinstance(request.wallet, uuid.UUID)}
        billers = await queries.billers_named(
            conn, {request.payee.biller_reference for request in requests if request.payee.biller_reference}
        )
        addresses = {request.payee.address for request in requests if request.payee.address}
        addresses |= {row["address"] for row in billers.values()}
        wallets = await queries.wallets_named(conn, references, ids)
        wallets += await queries.wallets_at(conn, addresses)
        mandates = await queries.mandates_named(
            conn, {request.mandate_id for request in requests if request.mandate_id is not None}
        )
        return cls(wallets, billers, mandates, institution_address)

    def mandate(self, request: PaymentRequest) -> Mandate | None:
        """The mandate that a request names, where this bank knows it."""
        return None if request.mandate_id is None else self._mandates.get(request.mandate_id)

    def resolve(self, request: PaymentRequest) -> Resolved | None:
        """The parties of a request; None when this bank has no such wallet."""
        wallet = self._wallets.get(request.wallet)
        if wallet is None:
            return None
        if request.kind == "funding":
            return Resolved(wallet, wallet.address, wallet, None, is_redemption=False)
        if request.kind == "redemption":
            return Resolved(wallet, self._institution_address, None, None, is_redemption=True)
        biller_id: uuid.UUID | None = None
        address = request.payee.address
        payee_wallet: Wallet | None = None
        if request.payee.biller_reference is not None:
            biller = self._billers.get(request.payee.biller_reference)
            if biller is not None:
                biller_id, address = biller["id"], biller["address"]
        elif request.payee.wallet_reference is not None:
            payee_wallet = self._wallets.get(request.payee.wallet_reference)
            address = payee_wallet.address if payee_wallet else None
        if payee_wallet is None and address is not None:
            payee_wallet = self._wallets.get(address)
        is_redemption = address is not None and address == self._institution_address
        return Resolved(wallet, address, payee_wallet, biller_id, is_redemption)

    def is_payee_known(self, request: PaymentRequest) -> bool:
        """Whether the payee's name means something here, whatever the chain says about it."""
        if request.payee.biller_reference is not None:
            return request.payee.biller_reference in self._billers
        if request.payee.wallet_reference is not None:
            return request.payee.wallet_reference in self._wallets
        return True


class Situation:
    """Chain and money as they are for the next request of a batch. Load it after the balances are locked."""

    def __init__(
        self, participant: int, institution_address: bytes | None, conditions: Conditions, now_s: int
    ) -> None:
        self._participant = participant
        self._now_s = now_s
        self.institution_address = institution_address
        self.conditions = conditions
        self._held_inventory_minor = 0
        self._accounts: dict[bytes, ChainAccount] = {}
        self._banks: dict[bytes, ChainAccount] = {}
        self._keepers: dict[bytes, int] = {}
        self._spending: dict[bytes, int] = defaultdict(int)
        self._receipts: dict[bytes, int] = defaultdict(int)
        self._fundings: dict[bytes, int] = defaultdict(int)

    @classmethod
    async def load(cls, conn: Connection, moment: Any, resolved: Sequence[Resolved]) -> Situation:
        """What the chain says about every party, and what this bank has accepted that is not final."""
        frozen = moment["frozen_reason"]
        conditions = Conditions(moment["is_paused"], frozen)
        situation = cls(moment["participant"], moment["institution"], conditions, moment["now_s"])
        payers = {each.wallet.address for each in resolved if each.wallet.address}
        payees = {each.payee_address for each in resolved if each.payee_address}
        own = {moment["institution"]} if moment["institution"] else set()
        for row in await queries.chain_accounts(conn, payers | payees | own, moment["day"]):
            tier = Tier(int(row["holding"]), int(row["single"]), int(row["daily"]))
            account = ChainAccount(
                row["address"], row["flags"], tier, row["balance_minor"], row["spent"], int(row["held"])
            )
            situation._accounts[account.address] = account
            situation._keepers[account.address] = row["participant"]
            if row["bank"]:
                situation._banks[account.address] = ChainAccount(row["bank"], row["bank_flags"], tier, 0, 0)
        institution = situation._accounts.get(moment["institution"])
        if institution is not None:
            situation.conditions = dataclasses.replace(
                situation.conditions, institution_flags=institution.flags
            )
            situation._held_inventory_minor = institution.held_minor
        situation._spending.update(await queries.unsettled_spending(conn, payers))
        unlinked = {
            address
            for address in payees - own
            if address in situation._accounts and not situation._accounts[address].flags & LINKED
        }
        situation._receipts.update(await queries.unsettled_receipts(conn, unlinked, "payment"))
        situation._fundings.update(await queries.unsettled_receipts(conn, payers, "funding"))
        return situation

    def case(self, request: PaymentRequest, resolved: Resolved, funds: Funds, directory: Directory) -> Case:
        """The case of one request, after everything that was accepted before it."""
        wallet_address = resolved.wallet.address
        kind = "redemption" if resolved.is_redemption else request.kind
        payer_address = self.institution_address if kind == "funding" else wallet_address
        payee_address = resolved.payee_address
        funds.unsettled_fundings_minor = self._fundings[wallet_address] if wallet_address else 0
        funds.inventory_minor -= self._held_inventory_minor
        receipts = 0
        if payee_address is not None:
            receipts = self._fundings[payee_address] if kind == "funding" else self._receipts[payee_address]
        return Case(
            kind=kind,
            amount_minor=request.amount_minor,
            conditions=self.conditions,
            payer=self._accounts.get(payer_address) if payer_address else None,
            payee=self._accounts.get(payee_address) if payee_address else None,
            payee_bank=self._banks.get(payee_address) if payee_address else None,
            funds=funds,
            is_payee_known=directory.is_payee_known(request),
            is_wallet_own=self._is_own(wallet_address),
            was_wallet_own=resolved.wallet.was_registered,
            is_payee_taken=self._is_taken(resolved.payee_wallet),
            unsettled_spending_minor=self._spending[payer_address]
            if payer_address and kind != "funding"
            else 0,
            unsettled_receipts_minor=receipts,
            names_mandate=request.mandate_id is not None,
            mandate=directory.mandate(request),
            now_s=self._now_s,
        )

    def _is_own(self, wallet_address: bytes | None) -> bool:
        """Whether a wallet is with this bank, or with none yet."""
        return wallet_address is None or self._keepers.get(wallet_address) in {None, self._participant}

    def _is_taken(self, wallet: Wallet | None) -> bool:
        """Whether another participant registered a wallet's address before this bank could."""
        return wallet is not None and not wallet.was_registered and not self._is_own(wallet.address)

    def accept(self, case: Case) -> None:
        """Remember what was accepted, for the requests that follow."""
        assert case.payer is not None, "nothing without a payer on chain is accepted"
        assert case.payee is not None, "nothing without a payee on chain is accepted"
        if case.kind == "funding":
            self._fundings[case.payee.address] += case.amount_minor
            return
        self._spending[case.payer.address] += case.amount_minor
        if case.kind == "payment" and not case.payee.flags & LINKED:
            self._receipts[case.payee.address] += case.amount_minor
