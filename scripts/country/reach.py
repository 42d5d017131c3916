"""The books of a country for a command that looks at them, whether the country runs or not."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

from api.settings import Settings
from scripts.country.data_directory import DataDirectory, DataDirectoryError
from scripts.country.institutions import INSTITUTIONS, InstitutionHome
from scripts.country.start import CountryStart, choose_chain
from scripts.supervision.processes import Supervisor
from scripts.terminal.progress import Steps


class NoCountry(DataDirectoryError):
    """A directory in which no country was ever started."""

    code = "NoCountry"

    def __init__(self, data: DataDirectory) -> None:
        super().__init__(f"there is no country in {data.path}: run `florin up` first, or name another --data")


@contextmanager
def reach_books(data: DataDirectory, steps: Steps) -> Iterator[list[Settings]]:
    """Every institution's settings, with its database and the chain answering until the block ends.

    Of a country that does not run, only PostgreSQL and the chain are started, and stopped again. Raises
    NoCountry and what starting them raises.
    """
    homes = [InstitutionHome(data, plan) for plan in INSTITUTIONS]
    if not all(home.settings_file.exists() for home in homes):
        raise NoCountry(data)
    settings = [Settings.load(home.settings_file) for home in homes]
    if data.is_held():
        yield settings
        return
    with Supervisor(data.path) as supervisor:
        start = CountryStart(data, supervisor, steps)
        urls = start.start_databases()
        rpc_url = start.start_chain(choose_chain(data, "auto"))
        yield [
            dataclasses.replace(each, database_url=urls[each.institution], rpc_url=rpc_url)
            for each in settings
        ]
