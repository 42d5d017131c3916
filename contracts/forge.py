"""The forge invariants of ``tests/forge``: ``python -m contracts.forge``; what it is given goes to forge.

Without Node it says so and succeeds.
"""

import shutil
import subprocess
import sys
import tomllib

from contracts.compile import NODE_MODULES, find_missing_tools

ROOT = NODE_MODULES.parent
FORGE = NODE_MODULES / ".bin" / "forge"


def main() -> int:
    """Run forge's tests; 0 if each invariant held."""
    missing = find_missing_tools()
    if missing is None and not FORGE.exists():
        missing = "forge is not installed (npm ci)"
    if missing is not None:
        print(f"forge: {missing}: the invariants are not tried on this machine")
        return 0
    invariant = tomllib.loads((ROOT / "foundry.toml").read_text(encoding="utf-8"))["invariant"]
    print(f"forge: {invariant['runs']} random histories of {invariant['depth']} steps", flush=True)
    command = [shutil.which("node") or "node", str(FORGE.resolve()), "test", *sys.argv[1:]]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
