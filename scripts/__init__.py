"""What a person runs: the `florin` command, and the processes that it starts."""
