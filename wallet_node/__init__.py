"""The key-management node: decodes what it signs, decides by policy, journals, then signs.

Its own process and user; it needs no chain access and never imports `api`.
"""

import os

# eth-hash prefers pycryptodome where it is installed; safe-pysha3 is several times faster on short inputs.
os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")
