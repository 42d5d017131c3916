"""A currency with one bank and its customers, whose every act tells what it used."""

import random
from collections.abc import Iterable, Sequence

from eth_hash.auto import keccak

from contracts import abi, notary
from contracts.abi import AccountFlag
from contracts.access_lists import access_list, accounts_to_list
from contracts.authorizations import TransferWithAuthorization, encode_transfer_with_authorization_of_key
from contracts.batch import Entry, Record, pack, pack_fan_out, pack_grouped
from contracts.gas_chains import GasChain
from contracts.grouping import group
from contracts.transactions import address_of
from contracts.typed_data import PaymentDomain, fan_out_digest, payment_digest

BATCH = 500
NAME = "Sandbox koruna"
VALID_BEFORE_S = 2**40
NO_LIMIT = 2**64 - 1
INSTITUTIONS_TIER, RETAIL_TIER, FULL_TIER, SHOP_TIER = 0, 1, 2, 3
SUPPLY = 10**14
OPENING_BALANCE, FUNDING = 1_000, 10_000_000
FULL_HOLDING = 100_000
AMOUNT = 12_345
SALARY = 1_000
# A payroll that one transaction settles within EIP-7825's cap of 16,777,216 gas.
PAYROLL = 2_500

SHOPS = 500
SHOPPING_SHARE = 0.8
RETAIL_SEED = 2026


class Sandbox:
    """A currency with one bank and its customers, on a chain of its own."""

    def __init__(self, chain: GasChain, customers: int = BATCH, *, emits_transfers: bool = True) -> None:
        """Deploy and fund: ``customers`` payers and as many payees, all with a balance and a used nonce."""
        self.chain = chain
        self.gas: dict[str, int] = {}
        self._operator, self._bank = keccak(b"gas operator"), keccak(b"gas bank")
        self._payers = [keccak(f"gas payer {index}".encode()) for index in range(customers)]
        self.payees = _addresses("payee", customers)
        self.full = _addresses("merchant", 100)
        self.shops = _addresses("shop", SHOPS)

        administration = self._record("deploy_administration", b"", abi.administration_creation_code())
        implementation = self._record(
            "deploy_implementation",
            b"",
            abi.implementation_creation_code(administration, NAME, emits_transfers=emits_transfers),
        )
        roles = [address_of(self._operator)] * 6
        initialisation = abi.encode_initialize(NAME, "CZK", 2, roles, 172_800)
        creation = abi.proxy_creation_code(implementation, initialisation)
        self.currency = self._record("deploy_proxy", b"", creation)
        self._notary = self._record("deploy_notary", b"", notary.creation_code(self.currency))
        self._separator = PaymentDomain(NAME, chain.chain_id, self.currency).separator
        self._set_up()
        self.settle(self.payees, nonce=0)

    def _record(self, name: str, to: bytes, data: bytes) -> bytes:
        receipt = self.chain.send(self._operator, to, data)
        self.gas[name] = receipt.gas_used
        return receipt.created

    def _set_up(self) -> None:
        retail = abi.encode_set_tier(RETAIL_TIER, FUNDING, FUNDING, NO_LIMIT - 1)
        self._record("set_tier", self.currency, retail)
        unlimited = 2**96 - 1
        for tier, holding in (
            (INSTITUTIONS_TIER, unlimited),
            (FULL_TIER, FULL_HOLDING),
            (SHOP_TIER, unlimited),
        ):
            self._operate(abi.encode_set_tier(tier, holding, min(holding, NO_LIMIT), NO_LIMIT))
        tiers = 1 << RETAIL_TIER | 1 << FULL_TIER | 1 << SHOP_TIER
        self._record(
            "set_participant",
            self.currency,
            abi.encode_set_participant(1, address_of(self._bank), INSTITUTIONS_TIER, tiers),
        )
        self._operate(abi.encode_increase_mint_allowance(1, SUPPLY))
        self.gas["mint"] = self.act(abi.encode_mint(SUPPLY))
        payers = [address_of(key) for key in self._payers]
        self.gas["register_500"] = self._open(0, payers, RETAIL_TIER, FUNDING)
        self._open(1, self.payees, RETAIL_TIER, OPENING_BALANCE)
        self._open(2, self.full, FULL_TIER, FULL_HOLDING)
        self._open(3, self.shops, SHOP_TIER, OPENING_BALANCE)

    def _open(self, turn: int, accounts: Sequence[bytes], tier: int, amount: int) -> int:
        """Register and fund; return what registering used."""
        gas = self.act(abi.encode_register(accounts, tier, AccountFlag.LINKED))
        start = turn * BATCH
        records = [self._sign(self._bank, payee, amount, start + at) for at, payee in enumerate(accounts)]
        self.act(abi.encode_settle(pack(records), VALID_BEFORE_S))
        return gas

    def _operate(self, data: bytes) -> None:
        self.chain.send(self._operator, self.currency, data)

    def act(self, data: bytes, touched: Iterable[bytes] = ()) -> int:
        """Send as the bank, with the access list that pays for these accounts; return the gas used."""
        named = accounts_to_list(touched, len(data))
        listed = access_list(self.currency, address_of(self._bank), named)
        return self.chain.send(self._bank, self.currency, data, listed).gas_used

    def transfer(self, payee: bytes) -> int:
        """Send an ERC-20 transfer as the first payer; return the gas used."""
        return self.chain.send(self._payers[0], self.currency, abi.encode_transfer(payee, AMOUNT)).gas_used

    def settle(self, payees: Sequence[bytes], nonce: int = 1, *, is_listed: bool = False) -> int:
        """Settle one payment of a payer to each payee; return the gas used.

        ``is_listed``: with an access list, as the relay sends it.
        """
        payments = self._sign_each(payees, nonce)
        call = abi.encode_settle(pack(record for _, record in payments), VALID_BEFORE_S)
        return self.act(call, _touched(payments) if is_listed else ())

    def anchor(self, times: int) -> int:
        """Anchor the bank's ledger so many times; return the gas used by the last."""
        used = 0
        for size in range(1, times + 1):
            call = notary.encode_anchor(notary.LEDGER_LOG, size, keccak(bytes([size])))
            used = self.chain.send(self._bank, self._notary, call).gas_used
        return used

    def settle_grouped(self, payees: Sequence[bytes], nonce: int = 1, *, is_listed: bool = False) -> int:
        """Settle the same payments as ``settle``, each group's payee named once; return the gas used."""
        payments = self._sign_each(payees, nonce)
        grouping = group(payments)
        call = abi.encode_settle_grouped(pack_grouped(grouping.groups, grouping.flat), VALID_BEFORE_S)
        return self.act(call, _touched(payments) if is_listed else ())

    def fan_out(self, payees: Sequence[bytes], nonce: int = 1, *, is_listed: bool = False) -> int:
        """Pay many under one signature of the first payer; return the gas used."""
        return self._fan_out(self._payers[0], payees, nonce, is_listed=is_listed)

    def pay_salaries(self, count: int, *, is_listed: bool = False) -> int:
        """Open and fund so many accounts, then pay all under one signature; return what paying used."""
        employees = _addresses("employee", count)
        for start in range(0, count, BATCH):
            some = employees[start : start + BATCH]
            self.act(abi.encode_register(some, RETAIL_TIER, AccountFlag.LINKED))
        self._fan_out(self._bank, employees, 4 * BATCH)
        return self.fan_out(employees, is_listed=is_listed)

    def _fan_out(self, payer: bytes, payees: Sequence[bytes], nonce: int, *, is_listed: bool = False) -> int:
        payments = pack_fan_out([Entry(payee, SALARY) for payee in payees])
        digest = fan_out_digest(self._separator, payments, nonce, VALID_BEFORE_S)
        call = abi.encode_settle_fan_out(payments, nonce, VALID_BEFORE_S, *_compact(payer, digest))
        return self.act(call, [address_of(payer), *payees] if is_listed else ())

    def transfer_with_authorization(self, payee: bytes) -> int:
        """Let the bank submit an EIP-3009 authorisation of the first payer; return the gas used."""
        payer = self._payers[0]
        nonce = keccak(b"gas authorisation")
        message = TransferWithAuthorization(address_of(payer), payee, AMOUNT, 0, VALID_BEFORE_S, nonce)
        signature = _sign_recoverable(payer, message.digest(self._separator))
        call = encode_transfer_with_authorization_of_key(
            message, signature[:64] + bytes([27 + signature[64]])
        )
        return self.act(call)

    def draw_retail_mix(self) -> list[bytes]:
        """Return whom each payer pays: 80% pay a shop by a Zipf law, the others another of the payers."""
        # not for secrets: the same draw every time
        dice = random.Random(RETAIL_SEED)  # noqa: S311
        weights = [1 / rank for rank in range(1, len(self.shops) + 1)]
        shopping = round(SHOPPING_SHARE * len(self._payers))
        chosen = dice.choices(self.shops, weights, k=shopping)
        payers = [address_of(key) for key in self._payers]
        # the one after next: nobody pays himself, and each is paid once
        return chosen + [payers[(index + 2) % len(payers)] for index in range(shopping, len(payers))]

    def _sign_each(self, payees: Sequence[bytes], nonce: int) -> list[tuple[bytes, Record]]:
        return [
            (address_of(payer), self._sign(payer, payee, AMOUNT, nonce))
            for payer, payee in zip(self._payers, payees, strict=False)
        ]

    def _sign(self, key: bytes, payee: bytes, amount: int, nonce: int) -> Record:
        digest = payment_digest(self._separator, payee, amount, nonce, VALID_BEFORE_S)
        return Record(payee, amount, nonce, *_compact(key, digest))


def _touched(payments: Iterable[tuple[bytes, Record]]) -> list[bytes]:
    return [account for payer, record in payments for account in (payer, record.payee)]


def _sign_recoverable(key: bytes, digest: bytes) -> bytes:
    from coincurve import PrivateKey

    return PrivateKey(key).sign_recoverable(digest, hasher=None)


def _compact(key: bytes, digest: bytes) -> tuple[bytes, bytes]:
    """A signature as EIP-2098 has it: r, and s with the parity in its highest bit."""
    signature = _sign_recoverable(key, digest)
    return signature[:32], bytes([signature[32] | signature[64] << 7]) + signature[33:64]


def _addresses(kind: str, count: int) -> list[bytes]:
    return [address_of(keccak(f"gas {kind} {index}".encode())) for index in range(count)]
