"""The token: Solidity sources, committed artifacts, and the one place that knows ABIs and encodings."""
