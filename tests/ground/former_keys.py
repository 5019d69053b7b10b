"""Key databases as formats 1 and 2 made them, frozen: what they held, and what each wrap in them was bound to.

Nothing here follows `key_schema`.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing

from ringfence_governance import key_file
from ringfence_governance.seal import Cipher, place

from .worlds import World, database

FORMAT_1 = """
CREATE TABLE store_keys (purpose VARCHAR NOT NULL, generation INTEGER NOT NULL, wrapped BLOB NOT NULL,
    PRIMARY KEY (purpose));
CREATE TABLE label_keys (label_digest VARCHAR NOT NULL, generation INTEGER NOT NULL, wrapped BLOB NOT NULL,
    PRIMARY KEY (label_digest));
CREATE TABLE document_keys (document_id VARCHAR NOT NULL, atom INTEGER NOT NULL, generation INTEGER NOT NULL,
    wrapped BLOB NOT NULL, PRIMARY KEY (document_id, atom));
"""
FORMAT_2 = """
DROP TABLE document_keys;
CREATE TABLE document_keys (document_id VARCHAR NOT NULL, atom INTEGER NOT NULL, generation INTEGER NOT NULL,
    wrapped BLOB NOT NULL, PRIMARY KEY (document_id, atom));
UPDATE key_meta SET value = '2' WHERE name = 'format';
"""
PURPOSES = ("catalog", "digest", "as_of", "query")


def turn_back(world: World) -> None:
    """Let the key database of a store that was never rotated be what format 1 would have made; closes the store."""
    ground, keys = world.ground, world.keys
    store_id = ground.store_id
    (master,) = key_file.read(keys, store_id)
    labels = [entry for entry in ground.moment().table.entries.values() if not entry.parts]
    own = {purpose: ground.keys.store_key(purpose) for purpose in PURPOSES}
    opened = ground.keys.keyring(labels)._label_keys
    lookups = {entry.atom: ground.keys._lookup(entry.label_id) for entry in labels}
    documents = _document_keys(world)
    world.door.close()
    for file in keys.glob("keys.db*"):
        file.unlink()
    cipher = Cipher(master.secret)

    def wrap(key: bytes, kind: str, name: str) -> bytes:
        return cipher.seal(key, place(kind, store_id, name, 1))

    with closing(sqlite3.connect(keys / "keys.db")) as former, former:
        former.execute("PRAGMA journal_mode=WAL")
        former.executescript(FORMAT_1)
        former.executemany(
            "INSERT INTO store_keys VALUES (?, 1, ?)",
            [(purpose, wrap(key, "store", purpose)) for purpose, key in own.items()],
        )
        former.executemany(
            "INSERT INTO label_keys VALUES (?, 1, ?)",
            [(lookups[entry.atom], wrap(opened[entry.atom], "label", entry.label_id)) for entry in labels],
        )
        former.executemany("INSERT INTO document_keys VALUES (?, ?, ?, ?)", documents)
    (keys / "keys.db").chmod(0o600)


def turn_back_to_2(world: World) -> None:
    """Let the key database of a store whose documents were all written once be of format 2; closes the store."""
    documents = _document_keys(world)
    world.door.close()
    with database(world.keys / "keys.db") as former:
        former.executescript(FORMAT_2)
        former.executemany("INSERT INTO document_keys VALUES (?, ?, ?, ?)", documents)
        former.commit()


def _document_keys(world: World) -> list[tuple[str, int, int, bytes]]:
    """Return (document, atom, generation, wrap) of every document, as these formats bound them."""
    ground = world.ground
    keyring = ground.keys.keyring(list(ground.moment().table.entries.values()))
    found = []
    for key in keyring._wrapped.values():
        where = place("document", ground.store_id, key.document_id, key.atom, key.generation)
        wrapped = Cipher(keyring._label_keys[key.atom]).seal(keyring._unwrapped(key), where)
        found.append((key.document_id, key.atom, key.generation, wrapped))
    return found
