"""Make this checkout importable in the environment that runs this file, with its `florin` command.

What an editable installation does, without a build backend: nothing to download, nothing to build.
"""

import sys
import sysconfig
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent.parent
COMMAND = """#!{python}
from scripts.cli import app

app()
"""


def main() -> None:
    """Write the path file and the command."""
    (Path(sysconfig.get_path("purelib")) / "florin.pth").write_text(f"{CHECKOUT}\n")
    command = Path(sysconfig.get_path("scripts")) / "florin"
    command.write_text(COMMAND.format(python=sys.executable))
    command.chmod(0o755)


if __name__ == "__main__":
    main()
