"""What can go wrong between the books and the chain, typed."""

from __future__ import annotations

from api.errors import FlorinError


class RpcUnavailable(FlorinError):
    """The chain's node did not answer, or answered with something that is not JSON-RPC. Try again later."""

    def __init__(self, why: str) -> None:
        super().__init__("RpcUnavailable", 503, f"The chain's node did not answer: {why}.", why=why)


class RpcRefused(FlorinError):
    """The node answered with a JSON-RPC error. `data` holds the revert data where there is any."""

    def __init__(self, number: int, message: str, data: bytes | None = None) -> None:
        super().__init__("RpcRefused", 502, f"The chain's node refused: {message}", number=number)
        self.number = number
        self.message = message
        self.data = data


class SignerUnavailable(FlorinError):
    """The key-management node cannot serve now. Nothing may be concluded; ask the same again."""

    def __init__(self, why: str) -> None:
        super().__init__("SignerUnavailable", 503, f"The signer did not serve: {why}.", why=why)


class SignerRefused(FlorinError):
    """The key-management node refuses this request for good. `refusal` is its own code."""

    def __init__(self, refusal: str, detail: str) -> None:
        super().__init__("SignerRefused", 502, f"The signer refused ({refusal}): {detail}", refusal=refusal)
        self.refusal = refusal
        self.detail = detail


class ApprovalPending(FlorinError):
    """Officers have to approve this at the key-management node first. Nothing was signed; ask again."""

    def __init__(self, operation_id: str, approvals: int, needed: int) -> None:
        super().__init__(
            "ApprovalPending",
            202,
            f"Operation {operation_id} waits for officers: {approvals} of {needed} have approved it.",
            operation_id=operation_id,
            approvals=approvals,
            needed=needed,
        )


class ForeignChain(FlorinError):
    """The node serves another chain, or another contract, than the one on which the books were built."""

    def __init__(self, what: str, expected: str, found: str) -> None:
        super().__init__(
            "ForeignChain",
            500,
            f"This is not the chain that the books were built on: {what} is {found}, the books know "
            f"{expected}. Point rpc_url at the chain of these books, or start with new books (`make reset` "
            "in the sandbox).",
            what=what,
            expected=expected,
            found=found,
        )


class UnusableManifest(FlorinError):
    """The manifest of the deployment lacks what this version needs, or is no manifest."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(
            "UnusableManifest",
            500,
            f"The deployment's manifest {path} cannot be used ({why}): it was written by another version. "
            "Name the manifest that this version's `florin deploy` wrote, or start anew (`make reset` in "
            "the sandbox).",
            path=path,
            why=why,
        )


class TransfersNotEmitted(FlorinError):
    """The token's implementation tells of batched payments by their records alone (`emitsTransfers`)."""

    def __init__(self, contract: bytes) -> None:
        text = "0x" + contract.hex()
        super().__init__(
            "TransfersNotEmitted",
            500,
            f"The currency at {text} emits no Transfer for a batched payment, and books are kept from "
            "Transfers. Use an implementation whose emitsTransfers() is true.",
            contract=text,
        )


class ForkBelowFinal(FlorinError):
    """The chain replaced a block that was final.

    Nothing is changed; the indexer and settlement are frozen.
    """

    def __init__(self, number: int, known: bytes, found: bytes) -> None:
        super().__init__(
            "ForkBelowFinal",
            500,
            f"Final block {number} was replaced by the chain. Compare the books with it before unfreezing.",
            number=number,
            known="0x" + known.hex(),
            found="0x" + found.hex(),
        )


class ChainBehind(FlorinError):
    """The node's head is below the last final block: it is syncing, or it lost blocks. Wait."""

    def __init__(self, head: int, final: int) -> None:
        super().__init__(
            "ChainBehind", 503, f"The node's head {head} is below final block {final}: it is catching up.",
            head=head, final=final,
        )  # fmt: skip


class ChainMoved(FlorinError):
    """Two answers of the node do not belong to one chain: it reorganised between them. Ask again."""

    def __init__(self, what: str) -> None:
        super().__init__("ChainMoved", 503, f"The chain moved while it was read: {what}.", what=what)


class EventMismatch(FlorinError):
    """The events of one's own settlement do not fit its records.

    An upgrade or a fault that a person must see.
    """

    def __init__(self, transaction_id: str, why: str) -> None:
        super().__init__(
            "EventMismatch", 500, f"Settlement {transaction_id} has events that do not fit it: {why}.",
            transaction_id=transaction_id,
        )  # fmt: skip


class BooksAndChainDiffer(FlorinError):
    """A comparison of books and chain found a break; settlement is frozen."""

    def __init__(self, difference_minor: int, accounts: int) -> None:
        super().__init__(
            "BooksAndChainDiffer",
            500,
            f"Books and chain differ by {difference_minor}, and in {accounts} accounts: see the open cases.",
            difference_minor=difference_minor,
        )


class BooksContradictChain(FlorinError):
    """A final event takes more from an account of customers' money than the books have there."""

    def __init__(self, source: str, account_id: int) -> None:
        super().__init__(
            "BooksContradictChain",
            500,
            f"Final event {source} takes more from ledger account {account_id} than it holds: the books are "
            "not what the chain says. Run `florin verify-books` before unfreezing.",
            source=source,
            account_id=account_id,
        )


class LeaseLost(FlorinError):
    """The database connection that held the worker's lease is gone; another worker may have it."""

    def __init__(self) -> None:
        super().__init__("LeaseLost", 503, "The worker's lease on this institution is gone.")


class LedgerUnsettled(FlorinError):
    """A transaction of the database stays open, so the journal's order is not settled. Try again later."""

    def __init__(self, waited_s: float) -> None:
        super().__init__(
            "LedgerUnsettled",
            503,
            f"A transaction of the database has been open for {waited_s:.0f} s and more: the journal is "
            "anchored once it has ended. See pg_stat_activity for who holds it.",
            waited_s=waited_s,
        )


class NonceGap(FlorinError):
    """A nonce of an institution's key that the signer gave away, and that no transaction here carries."""

    def __init__(self, key: str, nonce: int) -> None:
        super().__init__(
            "NonceGap",
            500,
            f"The chain waits for nonce {nonce} of the key {key!r}, which the signer gave to a transaction "
            "that is not in these books: nothing after it can be mined before that one is sent.",
            key=key,
            nonce=nonce,
        )


class FlowFrozen(FlorinError):
    """A flow is stopped until a person has looked at the cases and deleted its row of `chain_freezes`."""

    def __init__(self, flow: str, reason: str = "see the open cases") -> None:
        super().__init__("FlowFrozen", 503, f"The flow {flow!r} is stopped for now: {reason}.", flow=flow)
