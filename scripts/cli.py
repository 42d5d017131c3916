"""The `florin` command. A subcommand's module is imported only when it runs, so that start-up is lean."""

import importlib
import sys

import typer

from scripts.commands import wallet_node

app = typer.Typer(
    name="florin",
    help="A two-tier digital currency that a bank can run.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)

# name -> (module with `main(arguments: list[str]) -> int | None`, one line of help); it parses for itself
COMMANDS = {
    "up": (
        "scripts.commands.up",
        "Start a small country: chain, central bank, two banks; import a book and run it.",
    ),
    "deploy": ("scripts.commands.deploy", "Deploy the contracts to a chain, once."),
    "chain": ("scripts.chain.server", "Serve the development chain on a loopback port."),
    "verify-books": (
        "scripts.commands.verify_books",
        "Replay journal and chain; print every difference.",
    ),
    "rebuild-projection": (
        "scripts.commands.rebuild_projection",
        "Rebuild the chain projection and compare.",
    ),
    "bench": ("scripts.commands.bench", "Measure throughput against ceilings in the same run."),
}
FORWARDED = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def _register(name: str, module_name: str, summary: str) -> None:
    def run(context: typer.Context) -> None:
        module = importlib.import_module(module_name)
        result = module.main(context.args)
        sys.exit(result if isinstance(result, int) else 0)

    app.command(name, help=summary, context_settings=FORWARDED, add_help_option=False)(run)


for _name, (_module_name, _summary) in COMMANDS.items():
    _register(_name, _module_name, _summary)
app.add_typer(wallet_node.app)


if __name__ == "__main__":
    app()
