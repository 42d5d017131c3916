"""The fast chain: anvil, kept durable by this process, its only miner.

    python -m scripts.chain.anvil --data DIR --port 8545 --fund 0x... --fund 0x...

Left alone, anvil writes its state while it makes blocks, and the file of a killed one can hold a block's
effects without the block. So it runs with --no-mining: this process asks for a block, then for the state, and
puts that in place atomically. At most UNSAVED_BLOCKS are ever unsaved: a killed chain goes back by no more
than that, which its clients see as a reorganisation. The genesis time is kept, so its hash never changes.
"""

import argparse
import contextlib
import gzip
import logging
import os
import platform
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contracts.rpc import Rpc, RpcRefused
from scripts.supervision.processes import tied_to_this_process
from scripts.supervision.readiness import LOOPBACK, log_tail

log = logging.getLogger("florin.anvil")

CHECKOUT = Path(__file__).resolve().parent.parent.parent
GAS_LIMIT = 2_000_000_000
CHAIN_ID = 31337
STATES_IN_MEMORY = 64
GENESIS_SPREAD_S = 10_000_000
FUNDED_WEI = 10**24
UNSAVED_BLOCKS = 4
SAVING_SHARE = 0.25
BLOCK_TIME_S = 1.0
IDLE_BLOCK_TIME_S = 5.0
BUSY_S = 60.0
START_TIMEOUT_S = 60.0


class AnvilError(Exception):
    """anvil could not be started or did not do as asked."""


def find_anvil() -> Path | None:
    """The native program: this checkout's npm package (not its Node wrapper), else the one on the PATH."""
    system = {"Linux": "linux", "Darwin": "darwin"}.get(platform.system(), "")
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    packaged = CHECKOUT / "node_modules" / "@foundry-rs" / f"anvil-{system}-{machine}" / "bin" / "anvil"
    if os.access(packaged, os.X_OK):
        return packaged
    found = shutil.which("anvil")
    return None if found is None else Path(found)


@dataclass(frozen=True, slots=True)
class AnvilFiles:
    """What a data directory keeps of the chain."""

    directory: Path

    @property
    def genesis(self) -> Path:
        """The genesis block's time in seconds, from which alone its hash comes."""
        return self.directory / "genesis-time"

    @property
    def state(self) -> Path:
        """The last saved state and history."""
        return self.directory / "state.json"

    @property
    def log(self) -> Path:
        """What anvil itself says."""
        return self.directory / "anvil.log"

    def genesis_time_s(self) -> int:
        """When this chain began: chosen once, somewhere in the last months, so that no two are alike."""
        if not self.genesis.exists():
            self.directory.mkdir(parents=True, exist_ok=True)
            _write_atomically(
                self.genesis, str(int(time.time()) - secrets.randbelow(GENESIS_SPREAD_S)).encode()
            )
        return int(self.genesis.read_text())


class DurableAnvil:
    """A running anvil with its files."""

    def __init__(self, program: Path, files: AnvilFiles, port: int) -> None:
        self._files = files
        self._unsaved_blocks = 0
        self._save_took_s = 0.0
        command = [str(program), "--host", LOOPBACK, "--port", str(port), "--no-mining", "--base-fee", "0"]
        command += [
            "--gas-limit",
            str(GAS_LIMIT),
            "--prune-history",
            str(STATES_IN_MEMORY),
            "--order",
            "fifo",
        ]
        command += [
            "--accounts",
            "0",
            "--chain-id",
            str(CHAIN_ID),
            "--timestamp",
            str(files.genesis_time_s()),
        ]
        if files.state.exists():
            command += ["--load-state", str(files.state)]
        with files.log.open("ab") as log_file:
            self.process = subprocess.Popen(
                tied_to_this_process(command, signal.SIGKILL),
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=subprocess.STDOUT,
            )
        self.rpc = Rpc(f"http://{LOOPBACK}:{port}").call
        self._wait_until_it_answers()

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            with contextlib.suppress(OSError):
                head = self.rpc("eth_getBlockByNumber", "latest", False)
                break
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                raise AnvilError(f"anvil did not start\n{log_tail(self._files.log)}")
            time.sleep(0.02)
        # --timestamp sets the clock to the genesis
        self.rpc("anvil_setTime", max(int(time.time()), int(head["timestamp"], 16) + 1))

    def fund(self, addresses: Sequence[str]) -> None:
        """Give ether to the addresses that have little, and save."""
        for address in addresses:
            if int(self.rpc("eth_getBalance", address, "latest"), 16) < FUNDED_WEI // 2:
                self.rpc("anvil_setBalance", address, hex(FUNDED_WEI))
        self.save()

    def waiting_transactions(self) -> int:
        """How many transactions could be mined."""
        return int(self.rpc("txpool_status")["pending"], 16)

    def mine(self) -> None:
        """Make a block, and save when it is time to."""
        self.rpc("evm_mine")
        self._unsaved_blocks += 1
        spared_blocks = self._save_took_s / (SAVING_SHARE * BLOCK_TIME_S)
        if self._unsaved_blocks >= min(max(spared_blocks, 1), UNSAVED_BLOCKS):
            self.save()

    def save(self) -> None:
        """Put the present state and history in place of the saved ones."""
        started = time.monotonic()
        dumped = bytes.fromhex(self.rpc("anvil_dumpState").removeprefix("0x"))
        _write_atomically(self._files.state, gzip.decompress(dumped))
        self._save_took_s = time.monotonic() - started
        self._unsaved_blocks = 0

    def stop(self) -> None:
        """Save and end."""
        if self.process.poll() is None:
            with contextlib.suppress(OSError, RpcRefused):
                self.save()
            self.process.terminate()
        self.process.wait()


def _write_atomically(path: Path, content: bytes) -> None:
    replacement = path.with_suffix(".new")
    with replacement.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    replacement.replace(path)


def keep_mining(anvil: DurableAnvil, stop: threading.Event) -> None:
    """Until stopped, a block each second while something may await confirmation; now and then otherwise."""
    last_block = last_transaction = time.monotonic()
    while anvil.process.poll() is None:
        if stop.wait(max(last_block + BLOCK_TIME_S - time.monotonic(), 0.0)):
            return
        now = time.monotonic()
        if anvil.waiting_transactions():
            last_transaction = now
        if now - last_transaction < BUSY_S or now - last_block >= IDLE_BLOCK_TIME_S:
            last_block = now
            anvil.mine()
        elif stop.wait(BLOCK_TIME_S / 4):
            return
    raise AnvilError(f"anvil ended with status {anvil.process.returncode}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run anvil until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m scripts.chain.anvil")
    parser.add_argument("--data", type=Path, required=True, help="directory that keeps the chain")
    parser.add_argument("--port", type=int, default=8545)
    parser.add_argument("--fund", action="append", default=[], metavar="ADDRESS", help="given ether")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    program = find_anvil()
    if program is None:
        print("anvil is neither in node_modules (npm ci) nor on the PATH", file=sys.stderr)
        return 1
    files = AnvilFiles(options.data)
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    anvil = DurableAnvil(program, files, options.port)
    try:
        anvil.fund(options.fund)
        genesis = anvil.rpc("eth_getBlockByNumber", "0x0", False)["hash"]
        number = int(anvil.rpc("eth_blockNumber"), 16)
        print(f"chain at http://{LOOPBACK}:{options.port}, genesis {genesis}, block {number}", flush=True)
        keep_mining(anvil, stop)
        anvil.stop()
    except (AnvilError, RpcRefused, OSError) as error:
        log.error("stopping: %s", error)  # noqa: TRY400  # no trace: the words say it
        anvil.process.kill()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
