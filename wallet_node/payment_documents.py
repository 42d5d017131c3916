"""A payment that came as an EIP-712 document -> the node's own batch of one, with an id derived. Pure."""

import hashlib
import uuid

from wallet_node.deployment import Deployment
from wallet_node.errors import UnknownTypedData
from wallet_node.fields import address_bytes
from wallet_node.intents import Payment, PaymentBatch
from wallet_node.typed_documents import PaymentDocument

_IDENTIFIER_PREFIX = b"florin-web3signer-payment/1\0"

# Attempts are counted by the time until which they are valid: the same document is the same attempt, a later
# time a later one. Seconds since 2020, so that they fit an attempt's 31 bits until 2088.
_FIRST_S = 1_577_836_800
_MOST_ATTEMPTS = 2**31 - 1


def payment_batch(document: PaymentDocument, deployment: Deployment) -> PaymentBatch:
    """The batch. Raises UnknownTypedData for a time that is no attempt's."""
    attempt = document.valid_before_s - _FIRST_S
    if not 0 < attempt <= _MOST_ATTEMPTS:
        raise UnknownTypedData("validBefore is before 2020 or after 2087")
    payment = Payment(
        payment_id=_identifier(document, deployment),
        attempt=attempt,
        payer=document.payer,
        payee=document.payee,
        amount_minor=document.amount_minor,
        nonce_floor=document.nonce,
    )
    return PaymentBatch(
        chain_id=deployment.chain_id,
        contract="0x" + deployment.contract.hex(),
        domain_name=deployment.domain_name,
        valid_before_s=document.valid_before_s,
        payments=(payment,),
    )


def _identifier(document: PaymentDocument, deployment: Deployment) -> str:
    parties = b"".join((deployment.contract, address_bytes(document.payer), address_bytes(document.payee)))
    numbers = b"".join(
        number.to_bytes(8, "big") for number in (deployment.chain_id, document.amount_minor, document.nonce)
    )
    digest = hashlib.sha256(_IDENTIFIER_PREFIX + parties + numbers).digest()
    return str(uuid.UUID(bytes=digest[:16]))
