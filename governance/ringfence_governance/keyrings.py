"""The document keys of the labels a grant allows, and of no other.

Promise: a row of another label, one whose atom is not the one its key was wrapped for, and one of a writing that
was replaced since, do not open: there is no key for them here. A row of an earlier cut opens if the label its
document has now and the one its writing had last are both among them.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from .errors import StoreCorrupt
from .key_schema import ANY_RUN, STANDING, document_place, former_place
from .seal import Cipher


class KeyName(NamedTuple):
    """What tells a wrapped key from all others of its store."""

    document_id: str
    atom: int
    run_id: str
    former: int


class WrappedKey(NamedTuple):
    """The key of one writing of a document, as it lies in the database.

    Args:
        atom: Of the label the document has; it is wrapped for that one outermost.
        run_id: Of the run that wrote what it opens; :data:`key_schema.ANY_RUN` for all of before format 3.
        former: :data:`key_schema.STANDING`; or the atom that the writing had when it was replaced. The key is
            wrapped for that label first.
        until: Of a replaced one: the number of the last publication that shows it.
    """

    document_id: str
    atom: int
    run_id: str
    former: int
    generation: int
    wrapped: bytes
    until: int = 0

    def __repr__(self) -> str:
        return f"WrappedKey({self.name})"

    @property
    def name(self) -> KeyName:
        """What it is found by."""
        return KeyName._make(self[:4])

    @property
    def stands(self) -> bool:
        """Whether it is of a writing that was not replaced."""
        return self.former == STANDING

    def place(self, store_id: str) -> bytes:
        """Return what its outermost wrap is bound to."""
        return document_place(store_id, *self.name, self.generation)


@dataclass(frozen=True, slots=True, repr=False)
class Standing:
    """How documents stand now, for rows of an earlier cut.

    Args:
        documents: Document → (the atom it has now, the run that wrote it), of all that may be read now.
        replaced: (document, run) → the atom a writing had last that was replaced since, of those among `documents`
            whose last label may be read too.
        atoms: All that stand in either.
    """

    documents: Mapping[str, tuple[int, str]]
    replaced: Mapping[tuple[str, str], int]
    atoms: frozenset[int] = field(init=False)

    def __post_init__(self) -> None:
        atoms = {atom for atom, _ in self.documents.values()} | set(self.replaced.values())
        object.__setattr__(self, "atoms", frozenset(atoms))

    def last(self, document_id: str, run_id: str) -> int | None:
        """Return the atom that a run's writing of a document had last; None if no row of it may leave."""
        found = self.documents.get(document_id)
        if found is None:
            return None
        if found[1] == run_id:
            return found[0]
        return self.replaced.get((document_id, run_id))


class Keyring:
    """The document keys of some atoms, opened one by one as they are asked for.

    Args:
        standing: Rows of an earlier cut are opened, of these documents alone; None: of the newest.
        covered: Atoms of the rows of an earlier cut that may be opened.
        opened: Keys that were opened before, by their wraps; more come in.
    """

    __slots__ = (
        "_ciphers",
        "_covered",
        "_label_ciphers",
        "_label_keys",
        "_opened",
        "_standing",
        "_store_id",
        "_wrapped",
    )

    def __init__(
        self,
        store_id: str,
        label_keys: Mapping[int, bytes],
        wrapped: Mapping[KeyName, WrappedKey],
        standing: Standing | None = None,
        covered: Container[int] = (),
        opened: dict[WrappedKey, Cipher] | None = None,
    ) -> None:
        self._store_id = store_id
        self._label_keys = label_keys
        self._wrapped = wrapped
        self._standing = standing
        self._covered = covered
        self._opened = {} if opened is None else opened
        self._ciphers: dict[tuple[str, str, int], Cipher] = {}
        self._label_ciphers: dict[int, Cipher] = {}

    def __repr__(self) -> str:
        return f"Keyring(atoms={len(self._label_keys)})"

    def __reduce__(self) -> str:
        raise TypeError("a keyring cannot be pickled")

    def cipher(self, document_id: str, run_id: str, atom: int) -> Cipher:
        """Return the cipher of a run's writing of a document, for a row of it.

        Args:
            atom: The row's own.

        Raises:
            StoreCorrupt: This keyring has no key for it: the row was not granted, its atom is not the one its key
                was wrapped for, or it was written anew since.
        """
        found = self._ciphers.get((document_id, run_id, atom))
        if found is not None:
            return found
        cipher = self._ciphers[document_id, run_id, atom] = self._found(document_id, run_id, atom)
        return cipher

    def _found(self, document_id: str, run_id: str, atom: int) -> Cipher:
        key = self._key(document_id, run_id, atom)
        if key is None or not all(
            each in self._label_keys for each in (key.atom, key.former) if each != STANDING
        ):
            raise StoreCorrupt(
                "a row does not open: no key for its document under its label",
                hint="the store's files are not those its keys are for: put back the keys.db of their time, "
                "and look who could write there",
            )
        cipher = self._opened.get(key)
        if cipher is None:
            cipher = self._opened[key] = Cipher(self._unwrapped(key))
        return cipher

    def _key(self, document_id: str, run_id: str, atom: int) -> WrappedKey | None:
        former = STANDING
        if self._standing is not None:
            last = self._standing.last(document_id, run_id)
            if last is None or atom not in self._covered:
                return None
            atom, writer = self._standing.documents[document_id]
            former = STANDING if run_id == writer else last
        own = self._wrapped.get(KeyName(document_id, atom, run_id, former))
        if own is not None or former != STANDING:
            return own
        # Which row has which run lies in clear: only a document without a key of its own has one of before.
        return self._wrapped.get(KeyName(document_id, atom, ANY_RUN, STANDING))

    def _unwrapped(self, key: WrappedKey) -> bytes:
        opened = self._label(key.atom).open(key.wrapped, key.place(self._store_id))
        if key.stands:
            return opened
        where = former_place(self._store_id, key.document_id, key.run_id, key.former)
        return self._label(key.former).open(opened, where)

    def _label(self, atom: int) -> Cipher:
        if atom not in self._label_ciphers:
            self._label_ciphers[atom] = Cipher(self._label_keys[atom])
        return self._label_ciphers[atom]
