"""The document keys of the labels a grant allows, and of no other.

Promise: a row of another label, or one whose atom is not the one its key was
wrapped for, does not open: there is no key for it here.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

from .errors import StoreCorrupt
from .key_schema import document_place
from .seal import Cipher


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A document's key as it lies in the database: wrapped for one atom."""

    document_id: str
    atom: int
    generation: int
    wrapped: bytes


class Keyring:
    """The document keys of some atoms, opened one by one as they are asked for."""

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
        wrapped: Mapping[tuple[str, int], WrappedKey],
        standing: Mapping[str, int] | None = None,
        covered: Container[int] = (),
        opened: dict[WrappedKey, Cipher] | None = None,
    ) -> None:
        self._store_id = store_id
        self._label_keys = label_keys
        self._wrapped = wrapped
        self._standing = standing
        self._covered = covered
        self._opened = {} if opened is None else opened
        self._ciphers: dict[tuple[str, int], Cipher] = {}
        self._label_ciphers: dict[int, Cipher] = {}

    def __repr__(self) -> str:
        return f"Keyring(atoms={len(self._label_keys)})"

    def __reduce__(self) -> str:
        raise TypeError("a keyring cannot be pickled")

    def under(self, standing: Mapping[str, int], covered: Container[int]) -> Keyring:
        """Return these keys for rows of an older cut: a document's is the one of the atom it stands under now.

        Args:
            standing: Document → that atom; no other document opens.
            covered: Atoms of the rows that may be opened.
        """
        return Keyring(
            self._store_id, self._label_keys, self._wrapped, standing, covered, opened=self._opened
        )

    def cipher(self, document_id: str, atom: int) -> Cipher:
        """Return the cipher of a document as it stands under an atom.

        Raises:
            StoreCorrupt: This keyring has no key for the pair: the row was not granted,
                or its atom is not the one its key was wrapped for.
        """
        found = self._ciphers.get((document_id, atom))
        if found is not None:
            return found
        cipher = self._ciphers[document_id, atom] = self._found(document_id, atom)
        return cipher

    def _found(self, document_id: str, atom: int) -> Cipher:
        try:
            if self._standing is not None:
                if atom not in self._covered:
                    raise KeyError(atom)
                atom = self._standing[document_id]
            key = self._wrapped[document_id, atom]
            if atom not in self._label_keys:
                raise KeyError(atom)
        except KeyError as error:
            raise StoreCorrupt("a row does not open: no key for its document under its label") from error
        cipher = self._opened.get(key)
        if cipher is None:
            cipher = self._opened[key] = Cipher(self._unwrapped(key))
        return cipher

    def _unwrapped(self, key: WrappedKey) -> bytes:
        atom = key.atom
        if atom not in self._label_ciphers:
            self._label_ciphers[atom] = Cipher(self._label_keys[atom])
        return self._label_ciphers[atom].open(
            key.wrapped, document_place(self._store_id, key.document_id, atom, key.generation)
        )
