"""What officers see of what waits at the wallet nodes, and how they have their say: for `florin wallet-node`.

The text of an operation comes from whoever asked for it, so nothing of it reaches the terminal as a control
character or as markup.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from api.errors import FlorinError
from api.settings import Settings
from contracts.notary import Anchored
from scripts.books.anchors import SignerOnChain, read_signers
from scripts.commands.errors import EXPECTED_ERRORS, print_error
from scripts.commands.explain import print_explanation
from scripts.country.data_directory import DataDirectory
from scripts.country.institutions import INSTITUTIONS, InstitutionHome
from scripts.country.officers import Officer
from scripts.country.quorum import NodeRefused, OfficersDesk, Operation
from scripts.country.secret_file import SecretUnusable
from scripts.terminal.output import output_console
from wallet_node.errors import JournalBroken, WalletNodeError
from wallet_node.journal.verification import parse_anchor, verify_file

_SHOWN_APART = ("says", "movements", "movements_in_all", "source")
_LONGEST_FIELD = 400
_POLICY_ID = b"florin-policy-change/1\0"


class OfficerCommandError(Exception):
    """What was asked for is not there. `code` is stable."""

    def __init__(self, code: str, sentence: str) -> None:
        self.code = code
        super().__init__(sentence)


def homes(data: Path, institution: str | None) -> list[InstitutionHome]:
    """The institution of that slug; all of them where none is named. Raises OfficerCommandError."""
    found = [plan for plan in INSTITUTIONS if institution in (None, plan.slug)]
    if not found:
        known = ", ".join(plan.slug for plan in INSTITUTIONS)
        raise OfficerCommandError("UnknownInstitution", f"there is no {institution!r}; there are {known}")
    return [InstitutionHome(DataDirectory(data), plan) for plan in found]


def run(command: Callable[[], Coroutine[Any, Any, None]]) -> int:
    """Run a command to its exit status; what it refuses is said in a sentence."""
    expected = (
        *EXPECTED_ERRORS,
        NodeRefused,
        OfficerCommandError,
        SecretUnusable,
        WalletNodeError,
        aiohttp.ClientError,
        msgspec.DecodeError,
        TimeoutError,
    )
    try:
        asyncio.run(command())
    except expected as error:
        print_error(Console(stderr=True), error)
        return 1
    return 0


async def verify_journal(data: Path, institution: str | None, anchors: Sequence[str]) -> None:
    """Recompute each journal from its rows, and hold it against the anchors; they are one institution's."""
    found = homes(data, institution)
    if anchors and len(found) > 1:
        raise OfficerCommandError("WhoseAnchors", "say with --institution whose journal the anchors are of")
    console, given = output_console(), dict(map(parse_anchor, anchors))
    on_chain = await _on_chain(console, found)
    table = Table(title="Signers' journals", title_justify="left")
    table.add_column("institution")
    table.add_column("rows", justify="right")
    table.add_column("anchors", justify="right")
    table.add_column("root", overflow="fold")
    for home in found:
        known = on_chain.get(home.plan.slug)
        kept = all_anchors(given, known.anchors if known is not None else ())
        verified = verify_file(home.signer_journal, kept)
        for signer, executed, gave in known.outrun if known is not None else ():
            raise JournalBroken(
                f"the chain has executed {executed} transactions of 0x{signer.hex()}, the journal of"
                f" {home.plan.slug} gave {gave} nonces: it is an earlier copy than the node that signed"
            )
        table.add_row(home.plan.slug, f"{verified.rows:,}", str(len(kept)), "0x" + verified.root.hex())
        if known is not None and known.anchors:
            blocks = [each.block_number for each in known.anchors]
            console.print(
                f"{home.plan.slug}: {len(blocks)} anchors of blocks {min(blocks)} to {max(blocks)},"
                f" the longest of {max(each.size for each in known.anchors)} rows."
            )
    console.print(table)


def all_anchors(given: Mapping[int, bytes], on_chain: Iterable[Anchored]) -> dict[int, bytes]:
    """What was typed and what the chain has, by sizes. Raises JournalBroken where two contradict."""
    kept = dict(given)
    for each in on_chain:
        if kept.setdefault(each.size, each.root) != each.root:
            raise JournalBroken(
                f"two anchors of {each.size} rows differ, one of them in block {each.block_number}"
            )
    return kept


async def _on_chain(console: Console, found: Sequence[InstitutionHome]) -> dict[str, SignerOnChain]:
    """What the country's chain knows of these signers; nothing, and that is said, where it cannot be read."""
    try:
        settings = [Settings.load(home.settings_file) for home in found]
        journals = {home.plan.slug: home.signer_journal for home in found}
        head, known = await read_signers(settings, journals)
    except (FlorinError, OSError) as failure:
        console.print(
            f"The chain could not be read ({type(failure).__name__}: {failure}): no anchor of it is compared,"
            " so a missing end would not be found. Start the country, or give --anchor SIZE:ROOT.",
            style="yellow",
            highlight=False,
            markup=False,
        )
        return {}
    console.print(f"The chain was read up to block {head}.", highlight=False)
    return known


async def explain(data: Path, institution: str, intent: bytes) -> None:
    """What the node would decide about an intent (JSON) now, and each rule's part in it."""
    (home,) = homes(data, institution)
    asked = _members(intent)
    if not asked.keys() & {"payment", "transaction", "typed_data"}:  # bare, as it is sent to be signed
        kinds = {"transaction_id": "transaction", "intent_id": "typed_data"}
        asked = {next((kind for member, kind in kinds.items() if member in asked), "payment"): asked}
    async with OfficersDesk(home.officers_socket) as desk:
        content = await desk.request("POST", "/v1/intents:explain", asked)
    explanation = msgspec.json.decode(content)
    console = output_console()
    for sentence in explanation["moves"]:
        console.print(_plain(sentence))
    print_explanation(console, explanation)


async def propose(
    data: Path,
    institution: str,
    request: bytes,
    officer_name: str,
    *,
    confirm: Callable[[str], bool],
) -> None:
    """Ask for what officers decide, in an officer's name; the same again tells how far it is, and does it
    once enough have approved. `request` is JSON as it is sent, or the text of a policy.

    Raises OfficerCommandError, NodeRefused.
    """
    (home,) = homes(data, institution)
    officer = _officer(home, officer_name)
    path, asked = _proposal(request)
    console = output_console()
    console.print(Text(f"To {path} at {home.plan.slug}", style="bold"))
    for name, value in asked.items():
        console.print(_plain(f"{name}: {value if name == 'source' else _shortened(value)}"))
    if not confirm(f"Propose this as {officer.name}, who then does not approve it?"):
        raise OfficerCommandError("NotSigned", "nothing was signed")
    async with OfficersDesk(home.officers_socket) as desk:
        answer = await desk.propose(path, asked, officer)
    if answer.get("state") == "pending":
        console.print(
            f"Operation {answer['operation_id']}: {answer['approvals']} of {answer['needed']} approvals."
            f" Until {_time(answer['expires_at_s'])}, once enough have approved, propose it again to do it."
        )
        if "cooling_until_s" in answer:
            console.print(f"Not before {_time(answer['cooling_until_s'])}.")
    else:
        console.print("Done.")


_PROPOSALS = {
    "source": "/v1/policy:change",
    "change_id": "/v1/credentials:change",
    "intent_id": "/v1/typed-data:sign",
    "key": "/v1/transactions:sign",
    "transaction_id": "/v1/transactions:repair",
}
"""By a member that only this kind of request has, or those before it."""


def _proposal(request: bytes) -> tuple[str, dict[str, Any]]:
    """Where a request goes, and its members. A policy's text has an id that follows from it."""
    if not request.lstrip().startswith(b"{"):
        operation_id = str(UUID(bytes=sha256(_POLICY_ID + request).digest()[:16]))
        return "/v1/policy:change", {"operation_id": operation_id, "source": _text(request)}
    asked = _members(request)
    path = next((path for member, path in _PROPOSALS.items() if member in asked), None)
    if path is None:
        known = ", ".join(_PROPOSALS)
        raise OfficerCommandError("UnknownRequest", f"a request that officers decide has one of {known}")
    return path, asked


def _members(request: bytes) -> dict[str, Any]:
    """The members of a JSON object. Raises OfficerCommandError."""
    try:
        members: dict[str, Any] = msgspec.json.decode(_text(request), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise OfficerCommandError("MalformedRequest", f"the file is no JSON object: {error}") from None
    return members


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        detail = f"the file is no text in UTF-8: byte {error.start} cannot be read"
        raise OfficerCommandError("MalformedRequest", detail) from None


async def operations(data: Path, institution: str | None) -> None:
    """Everything that waits. Raises OfficerCommandError, the others shown, when some nodes do not answer."""
    table = Table(title="What waits for officers", title_justify="left")
    for heading in ("institution", "operation", "kind", "what it does", "approved by", "until"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "operation")  # an id is copied
    silent: dict[str, Exception] = {}
    for home in homes(data, institution):
        try:
            async with OfficersDesk(home.officers_socket) as desk:
                waiting = await desk.operations()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            silent[home.plan.slug] = error
            continue
        for operation in waiting:
            table.add_row(
                home.plan.slug,
                operation.operation_id,
                operation.kind,
                _plain("\n".join(_sentences(operation)[:3])),
                f"{', '.join(operation.approved) or 'nobody'} (of {operation.quorum})",
                _time(operation.expires_at_s),
            )
    if table.row_count or not silent:
        output_console().print(table if table.row_count else "Nothing waits.")
    if silent:
        said = "; ".join(f"{slug}: {error}" for slug, error in silent.items())
        raise OfficerCommandError("NodeSilent", f"no answer, so what waits there is not shown: {said}")


async def state(
    data: Path,
    institution: str | None,
    operation_id: str,
    officer_name: str,
    *,
    is_approval: bool,
    confirm: Callable[[str], bool],
) -> None:
    """Show an operation, and sign an officer's word on it. Raises OfficerCommandError, NodeRefused."""
    for home in homes(data, institution):
        async with OfficersDesk(home.officers_socket) as desk:
            waiting = {each.operation_id: each for each in await desk.operations()}
            operation = waiting.get(operation_id)
            if operation is None:
                continue
            officer = _officer(home, officer_name)
            console = output_console()
            print_operation(console, home.plan.slug, operation)
            verb = "approve" if is_approval else "withdraw"
            if not confirm(f"Sign as {officer.name}: {verb} this?"):
                raise OfficerCommandError("NotSigned", "nothing was signed")
            await (desk.approve if is_approval else desk.withdraw)(operation, officer)
            console.print("Signed. Whoever asked for it asks again, and it is done once enough have signed.")
            return
    raise OfficerCommandError("UnknownOperation", f"nothing of the id {operation_id} waits")


def print_operation(console: Console, slug: str, operation: Operation) -> None:
    """What an officer has to know of an operation: whatever the node can tell."""
    description = operation.description
    console.print(Text(f"{operation.kind} {operation.operation_id} at {slug}", style="bold"))
    for sentence in _sentences(operation):
        console.print(_plain(sentence))
    moved = description.get("movements", [])
    if moved:
        console.print(_movements(moved, description.get("movements_in_all", len(moved))))
    fields = Table("field", "value", show_header=False)
    for name, value in description.items():
        if name not in _SHOWN_APART:
            fields.add_row(_plain(name), _plain(_shortened(value)))
    if operation.initiator:
        fields.add_row("proposed by", _plain(operation.initiator))
    fields.add_row("approved by", _plain(", ".join(operation.approved) or "nobody"))
    fields.add_row("quorum", operation.quorum)
    if operation.cooling_until_s:
        fields.add_row("not before", _time(operation.cooling_until_s))
    fields.add_row("until", _time(operation.expires_at_s))
    fields.add_row("digest", operation.digest)
    console.print(fields)
    if "source" in description:
        console.print(_plain(str(description["source"])))


def _movements(moved: Sequence[Mapping[str, Any]], in_all: int) -> Table:
    title = f"What moves ({len(moved):,} of {in_all:,} shown)" if in_all > len(moved) else "What moves"
    table = Table("kind", "from", "to", title=title, title_justify="left")
    table.add_column("minor units", justify="right")
    for each in moved:
        amount = each.get("amount_minor")
        table.add_row(
            _plain(str(each["kind"])),
            _plain(str(each.get("payer", ""))),
            _plain(str(each.get("payee", ""))),
            "" if amount is None else f"{amount:,}",
        )
    return table


def _officer(home: InstitutionHome, name: str) -> Officer:
    """An officer whose key is here; none is made. Raises OfficerCommandError."""
    directory = home.data.officers_of(home.plan.slug)
    known = sorted(path.stem for path in directory.glob("*.key"))
    if name not in known:
        raise OfficerCommandError(
            "UnknownOfficer", f"no key of {name!r} is here; there are {', '.join(known) or 'none'}"
        )
    return Officer.open(directory, name)


def _sentences(operation: Operation) -> list[str]:
    return [str(each) for each in operation.description.get("says", [])]


def _shortened(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= _LONGEST_FIELD else f"{text[:_LONGEST_FIELD]}... ({len(text):,} characters)"


def _plain(text: str) -> Text:
    """Text whose control characters show as what they are."""
    shown = (each if each.isprintable() or each == "\n" else "\N{REPLACEMENT CHARACTER}" for each in text)
    return Text("".join(shown))


def _time(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
