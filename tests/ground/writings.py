"""Which run wrote a document, and the names of its keys: a key is of one writing."""

from __future__ import annotations

from ringfence_governance import manifest
from ringfence_governance.key_schema import STANDING
from ringfence_governance.keyrings import KeyName, Keyring
from ringfence_governance.labels import LabelEntry
from ringfence_governance.seal import Cipher

from .worlds import World


def run_of(world: World, document_id: str) -> str:
    """Return the run that wrote a document as it is published."""
    version = world.ground.moment().publication.versions["documents"]
    (row,) = world.ground.tables.rows_by("documents", version, "id", [document_id], ["run_id"])
    return str(row["run_id"])


def name_of(world: World, document_id: str, entry: LabelEntry) -> KeyName:
    """Return the name of the key that a document stands under, if it has this label."""
    return KeyName(document_id, entry.atom, run_of(world, document_id), STANDING)


def cipher_of(world: World, document_id: str, entry: LabelEntry) -> Cipher:
    """Return the cipher of a document as it stands, from a keyring for its label."""
    keyring = world.ground.keys.keyring([entry], [document_id])
    return cipher_in(world, keyring, document_id, entry.atom)


def cipher_in(world: World, keyring: Keyring, document_id: str, atom: int) -> Cipher:
    """Return the cipher a keyring has for a row of a document as it stands."""
    return keyring.cipher(document_id, run_of(world, document_id), atom)


def wraps_are_those_of_the_manifest(world: World) -> bool:
    """Whether there is a key for each document's writing and label that a publication names, and beside these only
    such of writings that were replaced, wrapped for the label their document has.
    """
    names = world.ground.keys.names()
    with world.ground.catalog.read() as connection:
        standing = manifest.standing(connection)
    own = {KeyName(document, atom, run_id, STANDING) for document, (atom, run_id) in standing.items()}
    return own == {name for name in names if name.former == STANDING} and all(
        (name.document_id, name.atom) in {(document, atom) for document, (atom, _) in standing.items()}
        and name.run_id != standing[name.document_id][1]
        for name in names
        if name.former != STANDING
    )
