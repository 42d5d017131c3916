"""What came as an EIP-712 document -> the node's own request for it, with an id derived. Pure.

The id follows from all that the nonce is given to, and not from how long it is valid: so the same document is
the same request for ever, and one with a later time a later attempt.
"""

import hashlib
import uuid

from wallet_node.deployment import Deployment
from wallet_node.errors import UnknownTypedData
from wallet_node.fields import address_bytes
from wallet_node.intents.requests import Payment, PaymentBatch, TypedData
from wallet_node.intents.typed_intents import TypedIntent, content_hash, nonce_use, signer, valid_until_s
from wallet_node.web3signer.typed_documents import PaymentDocument

_PAYMENT_PREFIX = b"florin-web3signer-payment/1\0"
_STRUCTURE_PREFIX = b"florin-web3signer-typed-data/1\0"

# Attempts are counted by the time until which they are valid: the same document is the same attempt, a later
# time a later one. Seconds since 2020, so that they fit an attempt's 31 bits until 2088.
_FIRST_S = 1_577_836_800
_MOST_ATTEMPTS = 2**31 - 1


def payment_batch(document: PaymentDocument, deployment: Deployment) -> PaymentBatch:
    """The batch. Raises UnknownTypedData for a time that is no attempt's."""
    payment = Payment(
        payment_id=_payment_id(document, deployment),
        attempt=_attempt(document.valid_before_s),
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


def typed_data_request(intent: TypedIntent, deployment: Deployment) -> TypedData:
    """The request for one structure. Raises UnknownTypedData for a time that is no attempt's.

    What has a random nonce has one attempt: its times are in the id.
    """
    use, until_s = nonce_use(intent), valid_until_s(intent)
    domain = deployment.domain
    counted = b"" if use.counted is None else use.counted.to_bytes(8, "big")
    content = b"".join((signer(intent), content_hash(intent, domain.separator), counted))
    attempt = 1 if use.counted is None or until_s is None else _attempt(until_s)
    return TypedData(_uuid(_STRUCTURE_PREFIX + content), attempt, intent)


def _attempt(until_s: int) -> int:
    attempt = until_s - _FIRST_S
    if not 0 < attempt <= _MOST_ATTEMPTS:
        raise UnknownTypedData("the time until which it is valid is before 2020 or after 2087")
    return attempt


def _payment_id(document: PaymentDocument, deployment: Deployment) -> str:
    parties = b"".join((deployment.contract, address_bytes(document.payer), address_bytes(document.payee)))
    numbers = b"".join(
        number.to_bytes(8, "big") for number in (deployment.chain_id, document.amount_minor, document.nonce)
    )
    return _uuid(_PAYMENT_PREFIX + parties + numbers)


def _uuid(content: bytes) -> str:
    return str(uuid.UUID(bytes=hashlib.sha256(content).digest()[:16]))
