"""The store's schema as SQLite's own check sees it: a table that is filled is not taken for a damaged one."""

import re
from importlib.resources import files

TABLE = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+) \(([^;]*)\n\) STRICT, WITHOUT ROWID;")
KEY = re.compile(r"PRIMARY KEY \(([^)]*)\)")


def test_the_columns_of_a_key_come_first() -> None:
    """Where they do not, the integrity check of SQLite 3.40 finds NULLs that are not there."""
    keys = {}
    for part in files("wallet_node").joinpath("schema").iterdir():
        for name, body in TABLE.findall(part.read_text()):
            columns = re.findall(r"^    (\w+) [A-Z]+", body, re.MULTILINE)
            named = KEY.search(body)
            keys[name] = (named[1].split(", ") if named else columns[:1], columns)
    assert len(keys) > 10
    assert {name for name, (key, columns) in keys.items() if columns[: len(key)] != key} == set()
