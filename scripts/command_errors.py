"""What can go wrong without being a command's fault: said in a sentence with a stable word, and no trace."""

from __future__ import annotations

from rich.console import Console

from api.errors import FlorinError
from contracts.deploy import DeploymentError
from contracts.rpc import RpcRefused
from scripts.api_client import RequestRefused, ServiceUnreachable
from scripts.book import BookError
from scripts.chain_launch import WrongChainKind
from scripts.country import ChainUnreachable
from scripts.data_directory import DataDirectoryError
from scripts.institution_books import NoBooks
from scripts.institutions import NodeFailed
from scripts.leftovers import AlreadyRunning
from scripts.patience import StandsStill
from scripts.postgres import PostgresError
from scripts.processes import ProcessError
from scripts.readiness import NoFreePort

EXPECTED_ERRORS = (
    AlreadyRunning, BookError, ChainUnreachable, DataDirectoryError, DeploymentError, FlorinError, NoBooks,
    NodeFailed, NoFreePort, OSError, PostgresError, ProcessError, RequestRefused, RpcRefused,
    ServiceUnreachable, StandsStill, WrongChainKind,
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
