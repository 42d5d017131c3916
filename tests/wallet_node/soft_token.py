"""A SoftHSM2 token in a directory of the tests' own, and the reason where there is none."""

import os
import shutil
import subprocess
from pathlib import Path

PIN = "a pin of some length"
_PLACES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
)
MODULE = next((Path(place) for place in _PLACES if Path(place).exists()), None)
REASON = "SoftHSM2 is not installed (apt-get install softhsm2): keys in a token are not tested"
IS_HERE = MODULE is not None and shutil.which("softhsm2-util") is not None


def make_tokens(directory: Path, labels: list[str]) -> Path:
    """Initialise tokens with these labels; the configuration that SOFTHSM2_CONF is to name."""
    (directory / "tokens").mkdir()
    configuration = directory / "softhsm2.conf"
    configuration.write_text(
        f"directories.tokendir = {directory / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    environment = os.environ | {"SOFTHSM2_CONF": str(configuration)}
    for label in labels:
        made = ["softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", PIN, "--pin", PIN]
        subprocess.run(made, env=environment, check=True, capture_output=True, timeout=60)
    return configuration


def use_token(home: Path, label: str, pin: str = PIN) -> None:
    """A home whose custody.toml names this token."""
    home.mkdir(mode=0o700, exist_ok=True)
    (home / "pin").write_text(pin + "\n")
    (home / "pin").chmod(0o600)
    (home / "custody.toml").write_text(f'[token]\nmodule = "{MODULE}"\nlabel = "{label}"\npin_file = "pin"\n')
