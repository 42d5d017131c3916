"""What net settlement costs: 1,000 payments among 20 banks, by receipt, on the in-process EVM.

All rules are on, and it is not the first cycle. The amounts are fixed, so the figures are too.
"""

from eth_hash.auto import keccak

from contracts import abi, settlement
from contracts.local_evm import LocalEvm
from contracts.settlement import CyclePayment

BANKS = 20
PAYMENTS = 1_000
LARGEST_AMOUNT_MINOR = 100_000_000
FUNDS_MINOR = 10**12
NO_LIMIT = 2**64 - 1
INSTITUTIONS_TIER = 0

_OPERATOR = keccak(b"gas settlement operator")[:20]
_BANKS = {number: keccak(f"gas settlement bank {number}".encode())[:20] for number in range(1, BANKS + 1)}


def measure_settlement() -> dict[str, int]:
    """Return the gas of a payment in a net cycle, rounded up: from positions and from a gross list."""
    evm = LocalEvm()
    settlement_address = _set_up(evm)
    payments = _payments()
    positions = settlement.net_positions(payments)
    warming = settlement.pack_positions({1: 1, 2: -1})
    _send(evm, _OPERATOR, settlement_address, settlement.encode_settle_net(1, bytes(32), warming))

    root = keccak(settlement.pack_payments(payments)[1])
    deltas = settlement.encode_settle_net(2, root, settlement.pack_positions(positions))
    gross = settlement.encode_settle_gross(3, *settlement.pack_payments(payments))
    return {
        "settlement_net_1000_deltas": -(-_send(evm, _OPERATOR, settlement_address, deltas) // PAYMENTS),
        "settlement_net_1000_gross": -(-_send(evm, _OPERATOR, settlement_address, gross) // PAYMENTS),
    }


def _set_up(evm: LocalEvm) -> bytes:
    """Deploy a currency with 20 banks and their settlement; all have funds and consent to net debits."""
    implementation = _create(evm, abi.implementation_creation_code())
    initialisation = abi.encode_initialize("Sandbox koruna", "CZK", 2, [_OPERATOR] * 4, 172_800)
    currency = _create(evm, abi.proxy_creation_code(implementation, initialisation))
    address = _create(evm, settlement.settlement_creation_code(currency, _OPERATOR))
    _send(evm, _OPERATOR, currency, abi.encode_set_tier(INSTITUTIONS_TIER, 2**96 - 1, NO_LIMIT, NO_LIMIT))
    for number, bank in _BANKS.items():
        may_grant = 1 << INSTITUTIONS_TIER
        set_participant = abi.encode_set_participant(number, bank, INSTITUTIONS_TIER, may_grant)
        _send(evm, _OPERATOR, currency, set_participant)
        _send(evm, _OPERATOR, currency, abi.encode_increase_mint_allowance(number, FUNDS_MINOR))
        _send(evm, bank, currency, abi.encode_mint(FUNDS_MINOR))
        _send(evm, bank, currency, abi.encode_approve(address, FUNDS_MINOR))
    _send(evm, _BANKS[1], currency, abi.encode_register([address], INSTITUTIONS_TIER, 0))
    for bank in _BANKS.values():
        _send(evm, bank, address, settlement.encode_deposit(FUNDS_MINOR))
        _send(evm, bank, address, settlement.encode_set_net_debit_cap(settlement.NO_NET_DEBIT_CAP))
    return address


def _payments() -> list[CyclePayment]:
    """Each bank pays others, picked by a hash; amounts are spread evenly up to the largest."""
    payments = []
    for index in range(PAYMENTS):
        digest = keccak(f"gas settlement payment {index}".encode())
        payer = 1 + index % BANKS
        payee = 1 + (payer + digest[0] % (BANKS - 1)) % BANKS
        payments.append(
            CyclePayment(payer, payee, 1 + int.from_bytes(digest[1:9], "big") % LARGEST_AMOUNT_MINOR)
        )
    return payments


def _create(evm: LocalEvm, code: bytes) -> bytes:
    outcome = evm.send(_OPERATOR, b"", code)
    if not outcome.is_success:
        raise RuntimeError(f"reverted: {abi.decode_revert(outcome.returned)}")
    return outcome.created


def _send(evm: LocalEvm, sender: bytes, to: bytes, data: bytes) -> int:
    outcome = evm.send(sender, to, data)
    if not outcome.is_success:
        raise RuntimeError(f"reverted: {abi.decode_revert(outcome.returned)}")
    return outcome.gas_used
