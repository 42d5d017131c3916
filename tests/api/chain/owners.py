"""What the owners of accounts sign with their own keys, and calls of the currency past every bank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eth_abi.abi import encode
from eth_hash.auto import keccak

from contracts.abi import SELECTORS
from contracts.typed_data import PaymentDomain
from wallet_node.keystore.software_key import SoftwareKey

if TYPE_CHECKING:
    from api.chain.deployment import Deployment

NEVER_S = 2**63


def call(signature: str, *values: Any) -> bytes:
    """The data of a call of the currency, for arguments without nesting."""
    return SELECTORS[signature] + encode(_types(signature), values)


def _types(signature: str) -> list[str]:
    return signature[signature.index("(") + 1 : -1].split(",")


@dataclass(frozen=True)
class Owner:
    """An account's own key, and the currency that it signs for."""

    key: SoftwareKey
    deployment: Deployment

    @property
    def address(self) -> bytes:
        """The account."""
        return self.key.address

    def authorization(self, payee: bytes, amount_minor: int, nonce: bytes) -> bytes:
        """The call that executes an EIP-3009 payment; anybody may send it."""
        values = (self.address, payee, amount_minor, 0, NEVER_S, nonce)
        fields = "address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce"
        signature = self._sign(f"TransferWithAuthorization({fields})", values)
        return call(
            "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)",
            *values,
            signature,
        )

    def permit(self, spender: bytes, amount_minor: int) -> bytes:
        """The call of an ERC-2612 approval, the owner's first."""
        fields = "address owner,address spender,uint256 value,uint256 nonce,uint256 deadline"
        signature = self._sign(f"Permit({fields})", (self.address, spender, amount_minor, 0, NEVER_S))
        r, s, v = signature[:32], signature[32:64], signature[64]
        return call(
            "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)",
            self.address, spender, amount_minor, NEVER_S, v, r, s,
        )  # fmt: skip

    def move(self, participant: int, tier: int, nonce: int, flags: int = 0) -> bytes:
        """The call with which a bank takes the account over."""
        fields = (
            "address owner,uint256 participant,uint256 tier,uint256 flags,uint256 nonce,uint256 validBefore"
        )
        values = (self.address, participant, tier, flags, nonce, NEVER_S)
        signature = self._sign(f"AccountMove({fields})", values)
        types = ["(address,uint8,uint24,uint32,uint64)", "bytes"]
        move = (self.address, tier, flags, nonce, NEVER_S)
        return SELECTORS[f"moveAccount({','.join(types)})"] + encode(types, [move, signature])

    def _sign(self, struct: str, values: tuple[Any, ...]) -> bytes:
        """65 bytes r, s, v over EIP-712 data without nesting."""
        types = [field.split(" ")[0] for field in struct[struct.index("(") + 1 : -1].split(",")]
        domain = PaymentDomain(
            self.deployment.domain_name, self.deployment.chain_id, self.deployment.contract
        )
        content = keccak(keccak(struct.encode()) + encode(types, values))
        signature = self.key.sign_digest(keccak(b"\x19\x01" + domain.separator + content))
        return signature[:64] + bytes([signature[64] + 27])
