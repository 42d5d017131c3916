"""The subcommands of `florin`, and the commands that only `make` and containers run."""
