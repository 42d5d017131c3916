"""The durable allocator of nonces: one counter for each signer in each space, and a place for random ones.

That a nonce is given once is the database's rule (the trigger `signers_rise`, the keys of `intents` and
`authorizations`); the counters kept here in memory only say what to ask for.
"""

from collections.abc import Collection, Iterable
from itertools import groupby

import msgspec

from wallet_node.journal.entries import Signed
from wallet_node.journal.nonces import Space
from wallet_node.store import VALUES_IN_ONE_QUERY, Store

_CACHED_SIGNERS = 100_000


_NO_ROW = 0


class _Signer(msgspec.Struct, gc=False):
    number: int
    next_nonce: int


class Allocator:
    """Reads the counters, and writes which id got which nonce into the open transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._signers: dict[int, dict[bytes, _Signer]] = {}
        self._cached = 0
        self._signer_count = 0
        self._domains: dict[Space, int] = {}
        self._is_stale = True

    def next_nonces(self, space: Space, signers: Collection[bytes]) -> dict[bytes, int]:
        """For each signer one above the highest nonce ever given to it in this space; 0 at first."""
        self._refresh()
        domain = self._domains.get(space)
        if domain is None:
            return dict.fromkeys(signers, 0)
        known = self._known(domain, signers)
        return {each: known[each].next_nonce for each in signers}

    def authorized_by(self, space: Space, signer: bytes, nonce: bytes) -> bytes | None:
        """The id that has this random nonce, if any."""
        self._refresh()
        found = self._store.query(
            "SELECT intent_id FROM authorizations WHERE domain = ? AND signer = ? AND nonce = ?",
            (self._domains.get(space), signer, nonce),
        )
        return found[0][0] if found else None

    def give(self, signed: Iterable[tuple[int, bytes, Signed]]) -> None:
        """Write that these new ids have the nonces of their first rows: sequence, id, decision of each.

        Raises sqlite3.IntegrityError for an id that was decided before, or a nonce that was given before.
        """
        self._refresh()
        intents: list[tuple[bytes, int, int | None, int | None]] = []
        authorizations = []
        for space, of_space in groupby(signed, lambda row: row[2].space):
            domain = self._domains.get(space) or self._add_domain(space)
            rows = list(of_space)
            counting = {row[2].content.signer for row in rows if isinstance(row[2].nonce, int)}
            signers = self._numbered(domain, counting)
            for sequence, intent_id, decision in rows:
                nonce, address = decision.nonce, decision.content.signer
                if isinstance(nonce, int):
                    signer = signers[address]
                    intents.append((intent_id, sequence, signer.number, nonce))
                    signer.next_nonce = nonce + 1
                else:
                    authorizations.append((domain, address, nonce, intent_id))
                    intents.append((intent_id, sequence, None, None))
        self._store.insert("intents", intents)
        self._store.insert("authorizations", authorizations)

    def forget(self) -> None:
        """What was written since the last commit may be gone: read it again before anything else."""
        self._signers.clear()
        self._cached = 0
        self._domains.clear()
        self._is_stale = True

    def _add_domain(self, space: Space) -> int:
        domain = len(self._domains) + 1
        self._store.insert("domains", [(domain, space.chain_id, space.contract, space.name)])
        self._domains[space] = domain
        return domain

    def _numbered(self, domain: int, signers: Collection[bytes]) -> dict[bytes, _Signer]:
        """All that is cached of a domain, each of these signers with its row."""
        known = self._known(domain, signers)
        new = [each for each in signers if known[each].number == _NO_ROW]
        for address in new:
            self._signer_count += 1
            known[address].number = self._signer_count
        self._store.insert("signers", [(known[each].number, domain, each, -1) for each in new])
        return known

    def _known(self, domain: int, signers: Collection[bytes]) -> dict[bytes, _Signer]:
        """All that is cached of a domain, these signers among it, also those that have no row yet."""
        known = self._signers.setdefault(domain, {})
        missing = [each for each in signers if each not in known]
        if not missing:
            return known
        if self._cached + len(missing) > _CACHED_SIGNERS:
            self._signers = {domain: (known := {})}
            self._cached, missing = 0, list(signers)
        self._cached += len(missing)
        for at in range(0, len(missing), VALUES_IN_ONE_QUERY):
            found = self._store.query_in(
                f"SELECT number, signer, last_nonce FROM signers WHERE domain = {domain:d} AND signer IN (#)",  # noqa: S608
                missing[at : at + VALUES_IN_ONE_QUERY],
            )
            for number, signer, last_nonce in found:
                known[signer] = _Signer(number, last_nonce + 1)
        for each in missing:
            if each not in known:
                known[each] = _Signer(_NO_ROW, 0)
        return known

    def _refresh(self) -> None:
        if not self._is_stale:
            return
        self._domains = {
            Space(chain_id, contract, name): domain
            for domain, chain_id, contract, name in self._store.query(
                "SELECT domain, chain_id, contract, space FROM domains"
            )
        }
        self._signer_count = self._store.query("SELECT coalesce(max(number), 0) FROM signers")[0][0]
        self._is_stale = False
