"""What does sealing cost, in ingest, in search and in bytes?

Promise: the same product runs twice, once with ciphers that seal and once with ciphers that hand bytes through
unchanged and uncompressed; each in a process and with a store of its own, and they take turns.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import lance
import pyarrow as pa

import ringfence
from bench.authority.partner import Partner, answer_all
from bench.corpus import INGESTER, Corpus, reader
from bench.digest_embedder import DigestEmbedder
from bench.machine import bytes_of
from ringfence_governance.seal import Cipher
from ringfence_ingest.embedders import open_embedder

KINDS = ("sealed", "unsealed")
PERCENT = 100.0
CHUNK_COLUMNS = ("metadata", "text", "vector", "terms")
DOCUMENT_COLUMNS = ("metadata", "text")


@contextmanager
def ciphers(kind: str) -> Iterator[None]:
    """Leave the ciphers as they are, or let them hand bytes through."""
    if kind == "sealed":
        yield
        return
    through = {
        name: lambda self, given, place: given for name in ("seal", "open", "seal_packed", "open_packed")
    }
    with patch.multiple(Cipher, **through):
        yield


class Kind:
    """One kind's store, in this process."""

    def __init__(self, embedder: str, passages: int, folder: Path) -> None:
        self._corpus = Corpus(passages)
        self._embedder = DigestEmbedder() if embedder == "digest" else open_embedder(embedder)
        self._folder = folder
        self._embedder.embed(["warm"])
        self._store: ringfence.Store | None = None

    def ingest(self, number: int) -> dict[str, float]:
        """Make a store and ingest the corpus; return seconds, on the wall and of this process."""
        documents = list(self._corpus.documents())
        wall, cpu = time.perf_counter(), time.process_time()
        with ringfence.create(self._folder / str(number), admin=INGESTER, embedder=self._embedder) as store:
            store.ingest(documents, as_user=INGESTER)
        return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}

    def search(self, text: str, number: int) -> dict[str, float]:
        """Ask the store of a round, opened once, as one who reads everything."""
        if self._store is None:
            self._store = ringfence.open(self._folder / str(number), embedder=self._embedder)
            self._store.as_user(reader(PERCENT)).search(text)
        person = self._store.as_user(reader(PERCENT))
        wall, cpu = time.perf_counter(), time.process_time()
        found = len(person.search(text))
        return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall, "hits": found}


def compare(embedder: str, passages: int, rounds: int, questions: int, folder: Path) -> dict[str, Any]:
    """Ingest by both kinds in turn, then ask both each question in turn; return all times."""
    found: dict[str, Any] = {kind: {"ingest": [], "search": []} for kind in KINDS}
    partners = {
        kind: Partner(["bench.ground.sealing", kind, embedder, str(passages), str(folder / embedder / kind)])
        for kind in KINDS
    }
    with partners["sealed"], partners["unsealed"]:
        for number in range(rounds):
            for kind in KINDS[:: 1 if number % 2 else -1]:
                found[kind]["ingest"].append(partners[kind].ask("ingest", number=number))
        for number, question in enumerate(Corpus(passages).questions(questions)):
            for kind in KINDS[:: 1 if number % 2 else -1]:
                found[kind]["search"].append(partners[kind].ask("search", text=question, number=rounds - 1))
    return {"embedder": embedder, "passages": passages, "kinds": found}


def weights(folder: Path, into: Path) -> list[dict[str, Any]]:
    """Return the bytes of each sealed column, and of all, against the same values in plain Lance tables.

    Args:
        folder: Where :func:`compare` left both kinds' stores.
        into: New; both are written here alike, column by column and whole.
    """
    rows: list[dict[str, Any]] = []
    whole = dict.fromkeys(KINDS, 0)
    for table, columns in (("documents", DOCUMENT_COLUMNS), ("chunks", CHUNK_COLUMNS)):
        sealed, bare = (_table(folder / kind, table) for kind in KINDS)
        plain = _decoded(bare)
        for column in columns:
            sizes = [_weight(each.select([column]), into) for each in (sealed, plain)]
            rows.append({"what": f"{table}.{column}", "rows": sealed.num_rows, **_pair(sizes)})
        for kind, each in zip(KINDS, (sealed, plain), strict=True):
            whole[kind] += _weight(each, into)
    rows.append({"what": "all columns of both", "rows": rows[-1]["rows"], **_pair(list(whole.values()))})
    return rows


def _pair(sizes: Sequence[int]) -> dict[str, int]:
    return dict(zip(("sealed_bytes", "plain_bytes"), sizes, strict=True))


def _table(folder: Path, name: str) -> pa.Table:
    store = max(folder.iterdir(), key=lambda each: int(each.name))
    return lance.dataset(str(store / "lance" / f"{name}.lance")).to_table()


def _decoded(bare: pa.Table) -> pa.Table:
    """Return what the unsealed store holds in the types one would give it: text, word lists, numbers."""
    made = bare
    for column in set(CHUNK_COLUMNS) & set(bare.column_names):
        values = bare[column].to_pylist()
        kind: pa.DataType = pa.string()
        if column == "terms":
            values, kind = [json.loads(value) for value in values], pa.list_(pa.string())
        elif column == "vector":
            flat = pa.array(memoryview(b"".join(values)).cast("f"), pa.float32())
            array = pa.FixedSizeListArray.from_arrays(flat, len(flat) // len(values))
            made = made.set_column(made.column_names.index(column), column, array)
            continue
        else:
            values = [value.decode() for value in values]
        made = made.set_column(made.column_names.index(column), column, pa.array(values, kind))
    return made


def _weight(rows: pa.Table, into: Path) -> int:
    place = into / str(sum(1 for _ in into.iterdir()))
    lance.write_dataset(rows.combine_chunks(), str(place))
    return bytes_of(place)


def main() -> None:
    """Answer for one kind."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("embedder")
    parser.add_argument("passages", type=int)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    given.folder.mkdir(parents=True)
    with ciphers(given.kind):
        kind = Kind(given.embedder, given.passages, given.folder)
        answer_all({"ingest": kind.ingest, "search": kind.search})


if __name__ == "__main__":
    main()
