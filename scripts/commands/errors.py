"""What can go wrong without being a command's fault: said in a sentence with a stable word, and no trace."""

from __future__ import annotations

from rich.console import Console

from api.errors import FlorinError
from contracts.manifest import DeploymentError
from contracts.rpc import RpcRefused
from scripts.books.institution_books import NoBooks
from scripts.country.chain_launch import ChainNotInstalled, ChainUnreachable
from scripts.country.data_directory import DataDirectoryError
from scripts.country.institutions import NodeFailed
from scripts.orders.api_client import RequestRefused, ServiceUnreachable
from scripts.orders.book import BookError
from scripts.orders.run_book import NotIssued
from scripts.postgres.server import PostgresError
from scripts.supervision.leftovers import AlreadyRunning
from scripts.supervision.processes import ProcessError
from scripts.supervision.readiness import NoFreePort
from scripts.terminal.patience import StandsStill, Unanswered

EXPECTED_ERRORS = (
    AlreadyRunning, BookError, ChainNotInstalled, ChainUnreachable, DataDirectoryError, DeploymentError,
    FlorinError, NoBooks, NodeFailed, NoFreePort, NotIssued, OSError, PostgresError, ProcessError,
    RequestRefused, RpcRefused, ServiceUnreachable, StandsStill, Unanswered,
)  # fmt: skip


def code_of(error: BaseException) -> str:
    """The stable word of an error: its code where it has one, else its name."""
    return str(getattr(error, "code", type(error).__name__))


def print_error(console: Console, error: BaseException) -> None:
    """Says what went wrong."""
    text = str(error)
    code = code_of(error)
    console.print(f"{code}: ", style="bold red", end="")
    console.print(text.removeprefix(f"{code}: "), markup=False, highlight=False, soft_wrap=True)
