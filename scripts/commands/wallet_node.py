"""`florin wallet-node`: what people do with a wallet node from outside.

To add a command, write a function under `@app.command()` that imports what it needs when it runs.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="wallet-node",
    help="Work with a wallet node: certificates for its callers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)


@app.callback()
def _wallet_node() -> None:
    """Keeps the commands' names, also while there is only one."""


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
