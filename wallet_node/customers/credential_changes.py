"""Which authenticators speak for a wallet: bound when it is created, changed by one of them or by the quorum.

Whoever has the bank's API can ask for anything, so a first credential is accepted only together with the
derivation of a wallet that never was: no existing wallet can be given one. Later changes need an assertion of
a credential that is bound, over this very change; or the officers' quorum, when the customer has lost them.
"""

import msgspec

from contracts import base64url
from contracts.customer_approvals import (
    NO_CREDENTIAL,
    Credential,
    CredentialChange,
    CredentialChangeRefusal,
)
from wallet_node.customer_proof import (
    Approval,
    Base64UrlText,
    CredentialFields,
    parse_credential,
)
from wallet_node.customers.proof_decisions import Disproved, ProofTerms, ProvedByAssertion, decide_approval
from wallet_node.customers.view import CustomerView
from wallet_node.errors import CredentialMalformed, Refusal
from wallet_node.fields import Address, Identifier, address_bytes, identifier_bytes
from wallet_node.intents.requests import Initiator

MOST_CREDENTIALS = 16
"""So many can be bound to one wallet at a time."""


class CredentialChangeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bind a credential, unbind one by its id, or both; without an approval it is the quorum's to allow.

    With `ends_mandates` all mandates of the wallet end as the credential is unbound: of a stolen device.
    Which credential approved a mandate is not kept, so it is all of them.
    """

    change_id: Identifier
    wallet: Address
    bind: CredentialFields | None
    unbind: Base64UrlText | None
    approval: Approval | None
    initiator: Initiator | None = None
    ends_mandates: bool = False


class CredentialChangeStop(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A customer's no to a change that waits for officers: an approval of CredentialChangeRefusal."""

    change_id: Identifier
    wallet: Address
    approval: Approval


class ParsedChange(msgspec.Struct, frozen=True):
    """The same in bytes."""

    change_id: bytes
    wallet: bytes
    bind: Credential | None
    unbind: bytes | None
    ends_mandates: bool = False

    @property
    def content(self) -> bytes:
        """What a change id stands for, and what officers approve."""
        bind = self.bind and self.bind.struct_hash()
        return msgspec.msgpack.encode((self.wallet, bind, self.unbind, self.ends_mandates))


class ChangeAccepted(msgspec.Struct, frozen=True):
    """A change that may be made: by a customer's proof, or without one by the quorum."""

    change: ParsedChange
    proof: ProvedByAssertion | None

    def record(self, view: CustomerView) -> None:
        """Make the change."""
        if self.proof is not None:
            self.proof.record(view)
        if self.change.bind is not None:
            view.record_binding(self.change.wallet, self.change.bind, is_first=False)
        if self.change.unbind is not None:
            view.record_unbinding(self.change.wallet, self.change.unbind)
        if self.change.ends_mandates:
            for mandate_id in view.standing_mandates:
                view.record_revocation(mandate_id)


def bind_at_creation(
    view: CustomerView, wallet: bytes, credential: Credential, is_new_wallet: bool
) -> Refusal | None:
    """Bind a wallet's first credential, or find it bound when the wallet was created; or why not.

    `is_new_wallet`: its index is derived for the first time by this request, in the same transaction.
    """
    edited = view.refuse_edited(wallet)
    if edited is not None:
        return edited
    first = next((kept for kept in view.credentials_of(wallet).values() if kept.is_first), None)
    if first is not None:
        if first.credential == credential:
            return None
        return Refusal("CredentialAlreadyBound", "the wallet was created with another credential")
    if not is_new_wallet:
        detail = "a first credential is bound when its wallet is created; now the quorum is needed"
        return Refusal("CredentialNotAtCreation", detail)
    view.record_binding(wallet, credential, is_first=True)
    return None


def parse_change(request: CredentialChangeRequest) -> ParsedChange:
    """The change in bytes. Raises CredentialMalformed."""
    bind = None if request.bind is None else parse_credential(request.bind)
    try:
        unbind = None if request.unbind is None else base64url.decode(request.unbind)
    except ValueError:
        raise CredentialMalformed("unbind is a credential's id as base64url without padding") from None
    change_id, wallet = identifier_bytes(request.change_id), address_bytes(request.wallet)
    return ParsedChange(change_id, wallet, bind, unbind, request.ends_mandates)


def change_digest(change: ParsedChange, view: CustomerView, expires_at_s: int, separator: bytes) -> bytes:
    """What a customer approves of a change whose rules hold (contracts.customer_approvals)."""
    bound = NO_CREDENTIAL if change.bind is None else change.bind.struct_hash()
    unbound = NO_CREDENTIAL
    if change.unbind is not None:
        unbound = view.credentials_of(change.wallet)[change.unbind].credential.struct_hash()
    approved = CredentialChange(
        change.change_id, change.wallet, bound, unbound, expires_at_s, change.ends_mandates
    )
    return approved.digest(separator)


def decide_change(
    change: ParsedChange, approval: Approval, view: CustomerView, terms: ProofTerms
) -> ChangeAccepted | Disproved:
    """Whether a credential that is bound approves of the change. `record(view)` must follow when accepted."""
    refusals = judge_change(change, view)
    if refusals:
        return Disproved(refusals)
    digest = change_digest(change, view, approval.expires_at_s, terms.separator)
    proved = decide_approval(change.wallet, digest, approval, view, terms)
    return proved if isinstance(proved, Disproved) else ChangeAccepted(change, proved)


def decide_change_by_quorum(change: ParsedChange, view: CustomerView) -> ChangeAccepted | Disproved:
    """Whether the change can be made, given that the officers' quorum for it is there.

    That the wallet is one of this node's is the caller's to know: here a wallet may have no credential yet.
    """
    refusals = judge_change(change, view)
    return Disproved(refusals) if refusals else ChangeAccepted(change, None)


def decide_stop(
    stop: CredentialChangeStop, view: CustomerView, terms: ProofTerms
) -> ProvedByAssertion | Disproved:
    """Whether a credential that is bound to the wallet refuses the change."""
    wallet = address_bytes(stop.wallet)
    expires_at_s = stop.approval.expires_at_s
    refused = CredentialChangeRefusal(identifier_bytes(stop.change_id), wallet, expires_at_s)
    return decide_approval(wallet, refused.digest(terms.separator), stop.approval, view, terms)


def judge_change(change: ParsedChange, view: CustomerView) -> tuple[Refusal, ...]:
    """Every reason why a change cannot be made, whoever wants it."""
    edited = view.refuse_edited(change.wallet)
    if edited is not None:
        return (edited,)
    refusals = []
    known = view.credentials_of(change.wallet)
    bound = {credential_id for credential_id, kept in known.items() if kept.is_bound}
    if change.bind is None and change.unbind is None:
        refusals.append(Refusal("NothingToChange", "the change binds nothing and unbinds nothing"))
    elif change.ends_mandates and change.unbind is None:
        detail = "mandates end with the credential that is unbound: name it, or revoke them by their ids"
        refusals.append(Refusal("NothingUnbound", detail))
    if change.unbind is not None and change.unbind not in bound:
        refusals.append(Refusal("CredentialUnknown", "the credential to unbind is not bound to this wallet"))
    after = bound - {change.unbind}
    if change.bind is not None:
        kept = known.get(change.bind.credential_id)
        if kept is not None and kept.credential != change.bind:
            refusals.append(
                Refusal("CredentialIdReused", "this credential id already stands for another key")
            )
        elif kept is not None and kept.is_bound:
            refusals.append(Refusal("CredentialAlreadyBound", "the credential is bound to this wallet"))
        after |= {change.bind.credential_id}
    if bound and not after:
        detail = "a wallet's last credential is unbound only together with binding another"
        refusals.append(Refusal("LastCredential", detail))
    if len(after) > MOST_CREDENTIALS:
        refusals.append(Refusal("TooManyCredentials", f"a wallet has at most {MOST_CREDENTIALS}"))
    return tuple(refusals)
