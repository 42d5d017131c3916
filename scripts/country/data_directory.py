"""Where one country lives on disk, and what it was built from.

DATA/country.json    what the books were built on: the chain's kind and genesis, the book, the steps done
DATA/book            the book that was imported, given or generated
DATA/run             the lock of the process that runs the country, and its children's ids
DATA/people           secrets of the sample's customers and officers: never an institution's
DATA/postgres, chain, manifests, logs, <institution>    each process's own
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from contracts.durable import write_durably
from scripts.country.chain_launch import LOCAL_KINDS
from scripts.supervision.leftovers import AlreadyRunning, hold_lock

FORMAT = 5


class DataDirectoryError(Exception):
    """A data directory that cannot be used as asked. `code` is stable."""

    code = "UnusableDataDirectory"


class AnotherChain(DataDirectoryError):
    """The chain that answers is not the one that the books were built on."""

    code = "AnotherChain"

    def __init__(self, path: Path, expected: str, found: str) -> None:
        super().__init__(
            f"the books in {path} were built on {expected}, and this is {found}: nothing was started on it. "
            "Start with the chain that the books know, or wipe both with `make reset` and begin anew"
        )


class AnotherBook(DataDirectoryError):
    """The directory already holds the books of another import."""

    code = "AnotherBook"

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(
            f"{path} already holds {what}: give the same again, or wipe it with `make reset` and import anew"
        )


class UnknownFormat(DataDirectoryError):
    """A country that another version of Florin has written."""

    code = "UnknownFormat"

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} was not written by this version of Florin: wipe it with `make reset`")


@dataclass(slots=True)
class CountryRecord:
    """What a country was built from. Empty texts: not known yet.

    `chain` is `eth-tester`, `anvil` or an RPC URL; `ports` is what each service listened on last;
    `done` names the steps that need no repeating; `mandates_from_s` is when the customers' mandates begin.
    """

    format: int = FORMAT
    chain: str = ""
    genesis_hash: str = ""
    book_source: str = ""
    book_fingerprint: str = ""
    opening_balance_minor: int = 0
    is_skipping_bad_rows: bool = False
    ports: dict[str, int] = field(default_factory=dict)
    mandates_from_s: int = 0
    done: list[str] = field(default_factory=list)


class DataDirectory:
    """The files that the commands share. Only the process that holds the directory may write them."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()

    @property
    def country_file(self) -> Path:
        """The record's file."""
        return self.path / "country.json"

    @property
    def manifests(self) -> Path:
        """The manifests of the deployed contracts, one for each genesis hash."""
        return self.path / "manifests"

    @property
    def authenticator_file(self) -> Path:
        """The secret of the authenticator that stands for all customers' passkeys."""
        return self.path / "people" / "authenticator.key"

    def officers_of(self, slug: str) -> Path:
        """Where the keys of an institution's officers are."""
        return self.path / "people" / f"officers-{slug}"

    def read_record(self) -> CountryRecord:
        """The record, or an empty one. Raises UnknownFormat."""
        try:
            content = self.country_file.read_bytes()
        except FileNotFoundError:
            return CountryRecord()
        try:
            record = msgspec.json.decode(content, type=CountryRecord)
        except msgspec.DecodeError:
            raise UnknownFormat(self.path) from None
        if record.format != FORMAT:
            raise UnknownFormat(self.path)
        return record

    def write_record(self, record: CountryRecord) -> None:
        """Replaces the record, whole or not at all."""
        write_durably(self.country_file, msgspec.json.format(msgspec.json.encode(record)))

    def is_held(self) -> bool:
        """Whether a process runs the country of this directory."""
        try:
            os.close(hold_lock(self.path / "run"))
        except AlreadyRunning:
            return True
        return False


def check_chain(data: DataDirectory, record: CountryRecord, chain: str, genesis_hash: str) -> CountryRecord:
    """The record with the chain that answers, if it is the one that the books know. Raises AnotherChain.

    A chain that the country starts itself stays one, also when it was reached by its address.
    """
    if record.genesis_hash and record.genesis_hash != genesis_hash:
        raise AnotherChain(
            data.path, f"{record.chain} (genesis {record.genesis_hash})", f"{chain} (genesis {genesis_hash})"
        )
    if record.genesis_hash and record.chain in LOCAL_KINDS:
        chain = record.chain
    return dataclasses.replace(record, chain=chain, genesis_hash=genesis_hash)
