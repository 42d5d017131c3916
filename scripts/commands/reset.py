"""`make reset`: forget a data directory, with what a killed run may have left running in it."""

import argparse
import contextlib
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.postgres.cluster import Cluster
from scripts.supervision.leftovers import AlreadyRunning, hold_lock, stop_leftovers


def reset(data_dir: Path) -> None:
    """Stop leftovers and PostgreSQL, then remove the directory. AlreadyRunning while a run holds it."""
    with contextlib.ExitStack() as locks:
        for directory in (data_dir, data_dir / "run"):
            locks.callback(os.close, hold_lock(directory))
        stop_leftovers(data_dir / "run")
        if (data_dir / "postgres" / "cluster").exists():
            Cluster(data_dir / "postgres").stop()
        shutil.rmtree(data_dir)


def main(arguments: Sequence[str] | None = None) -> int:
    """Reset the directory that is given."""
    parser = argparse.ArgumentParser(prog="python -m scripts.commands.reset")
    parser.add_argument("--data", type=Path, required=True)
    data_dir = parser.parse_args(arguments).data
    if not data_dir.exists():
        print(f"{data_dir} is not there: nothing to forget")
        return 0
    if not (data_dir / "run").is_dir():
        print(
            f"{data_dir} is not a data directory of florin (it has no run/ in it): left alone",
            file=sys.stderr,
        )
        return 1
    try:
        reset(data_dir)
    except AlreadyRunning as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{data_dir} is gone; with FLORIN_DATABASE_URL, drop that server's databases yourself")
    return 0


if __name__ == "__main__":
    sys.exit(main())
