"""The Solidity linter: ``python -m contracts.lint`` runs it by the rules in ``.solhint.json``.

Without Node it says so and succeeds.
"""

import shutil
import subprocess

from contracts.compile import NODE_MODULES

ROOT = NODE_MODULES.parent
LINTER = NODE_MODULES / "solhint" / "solhint.js"
SOURCES = ("contracts/src/**/*.sol", "contracts/bench/**/*.sol", "tests/forge/**/*.sol")


def find_missing_tools() -> str | None:
    """Say what linting lacks on this machine, or None."""
    if shutil.which("node") is None:
        return "Node is not installed"
    if not LINTER.is_file():
        return "the Node tools are not installed (npm ci)"
    return None


def main() -> int:
    """Lint; any finding fails."""
    missing = find_missing_tools()
    if missing is not None:
        print(f"solhint: {missing}: the Solidity sources are not linted on this machine")
        return 0
    command = ["node", str(LINTER), "--noPoster", "--disc", "--max-warnings", "0", *SOURCES]
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    if status == 0:
        print("solhint: ok")
    return status


if __name__ == "__main__":
    raise SystemExit(main())
