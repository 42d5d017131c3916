"""The token: Solidity sources, committed artifacts, and the one place that knows ABIs and encodings."""

import os

# eth-hash prefers pycryptodome where it is installed; safe-pysha3 is several times faster on short inputs.
os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")
