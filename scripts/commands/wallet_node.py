"""`florin wallet-node`: what people do with a wallet node from outside.

To add a command, write a function under `@app.command()` that imports what it needs when it runs.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="wallet-node",
    help="Work with a wallet node: what waits for officers, its journal, certificates.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)


Data = Annotated[Path, typer.Option(help="Where the country lives.")]
Institution = Annotated[str | None, typer.Option(help="Its slug, such as bank-a. [default: all]")]
OperationId = Annotated[str, typer.Argument(help="The operation, as `operations` lists it.")]
OfficerName = Annotated[str, typer.Option(help="Whose key signs.")]
Yes = Annotated[bool, typer.Option("--yes", help="Sign without asking.")]
HERE = Path(".florin")


@app.command()
def certificates(
    directory: Annotated[Path, typer.Option(help="Where to keep them; one directory for each party.")],
    caller: Annotated[list[str], typer.Option(help="A caller that gets a certificate; repeatable.")],
    host: Annotated[
        list[str] | None, typer.Option(help="A name or address of the node; repeatable. [default: loopback]")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=90, help="How long a certificate is valid.")] = 7,
    renew: Annotated[bool, typer.Option(help="Also make anew what still serves.")] = False,
) -> None:
    """Make certificates for mTLS in a sandbox; run it again to renew them, beside a running node as well.

    DIRECTORY/server is what `serve --certificates` takes; DIRECTORY/callers/NAME is for that caller.
    """
    from datetime import UTC, datetime, timedelta

    from rich.console import Console

    from scripts.commands.errors import print_error
    from scripts.country.certificates import CertificatesUnusable, make_certificates

    try:
        written = make_certificates(
            directory,
            caller,
            host or ["localhost", "127.0.0.1", "::1"],
            lifetime=timedelta(days=days),
            now=datetime.now(UTC),
            is_renewal=renew,
        )
    except (CertificatesUnusable, OSError) as error:
        print_error(Console(stderr=True), error)
        sys.exit(1)
    for file in written:
        typer.echo(file)


@app.command()
def verify_journal(
    data: Data = HERE,
    institution: Institution = None,
    anchor: Annotated[
        list[str] | None, typer.Option(metavar="SIZE:ROOT", help="What was anchored elsewhere; repeatable.")
    ] = None,
) -> None:
    """Recompute the signers' journals and tables from their rows; also while they are written to.

    Where the country's chain answers, they are held against their anchors there as well, and against the
    transactions that it has executed.
    """
    from scripts.commands import officers_desk

    sys.exit(officers_desk.run(lambda: officers_desk.verify_journal(data, institution, anchor or [])))


@app.command()
def explain(
    intent: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, help="A payment, transaction or structure as sent."),
    ],
    institution: Annotated[str, typer.Option(help="Whose policy decides: a slug, such as bank-a.")],
    data: Data = HERE,
) -> None:
    """Tell what the signer would decide about an intent now, with each rule's part; nothing is signed."""
    from scripts.commands import officers_desk

    sys.exit(officers_desk.run(lambda: officers_desk.explain(data, institution, intent.read_bytes())))


@app.command()
def operations(data: Data = HERE, institution: Institution = None) -> None:
    """List what waits for officers, at every node that answers; the others are named."""
    from scripts.commands import officers_desk

    sys.exit(officers_desk.run(lambda: officers_desk.operations(data, institution)))


@app.command()
def propose(
    request: Annotated[
        Path,
        typer.Argument(
            exists=True, dir_okay=False, help="A policy, or a request as it is sent (JSON): a repair, say."
        ),
    ],
    officer: OfficerName,
    institution: Annotated[str, typer.Option(help="At whose node: a slug, such as bank-a.")],
    data: Data = HERE,
    yes: Yes = False,
) -> None:
    """Ask for what officers decide, in the name of one who then does not approve it; run it again to have it
    done once enough have approved.
    """
    from scripts.commands import officers_desk

    def confirm(question: str) -> bool:
        return yes or typer.confirm(question)

    sys.exit(
        officers_desk.run(
            lambda: officers_desk.propose(data, institution, request.read_bytes(), officer, confirm=confirm)
        )
    )


@app.command()
def approve(
    operation_id: OperationId,
    officer: OfficerName,
    data: Data = HERE,
    institution: Institution = None,
    yes: Yes = False,
) -> None:
    """Show what an operation does, and approve it with an officer's key."""
    _state(data, institution, operation_id, officer, is_approval=True, is_sure=yes)


@app.command()
def withdraw(
    operation_id: OperationId,
    officer: OfficerName,
    data: Data = HERE,
    institution: Institution = None,
    yes: Yes = False,
) -> None:
    """Show what an operation does, and refuse it, or take an approval back."""
    _state(data, institution, operation_id, officer, is_approval=False, is_sure=yes)


def _state(
    data: Path, institution: str | None, operation_id: str, officer: str, *, is_approval: bool, is_sure: bool
) -> None:
    from scripts.commands import officers_desk

    def confirm(question: str) -> bool:
        return is_sure or typer.confirm(question)

    sys.exit(
        officers_desk.run(
            lambda: officers_desk.state(
                data, institution, operation_id, officer, is_approval=is_approval, confirm=confirm
            )
        )
    )
