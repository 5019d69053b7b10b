"""Small stores for tests: made in a moment, and the same every time from the same seed.

A world is a store and its keys in one folder, with a policy of two tenants.
Its people are named after what they may do, see `POLICY`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import resource
import shutil
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from ringfence_governance.ambient import Ambient
from ringfence_governance.door import Door
from ringfence_governance.drafts import ChunkDraft, DocumentDraft, LabelChoice, SourceIdentity
from ringfence_governance.ground import Ground
from ringfence_governance.ingestion import Ingestion
from ringfence_governance.labels import Label, NamedLabel
from ringfence_governance.policy_changes import Reasoned
from ringfence_governance.policy_rows import Row, from_fields
from ringfence_governance.policy_text import PolicyBundle, parse_policy_csv
from ringfence_governance.reading import Answer, GrantedReader
from ringfence_governance.store_modes import SEALED, StoreMode
from ringfence_governance.subjects import Subject
from ringfence_governance.vector_models import VectorModel

from .forks import Child, started

ADMIN = "acme/user:ada"
POLICY = """
p, *, *, *, read, owner, *, -, -, allow
p, *, *, *, read, reader, *, -, -, allow
p, *, *, *, *, denied, *, -, -, deny
# May ingest under any label, and what he ingested he may declassify and delete.
p, acme/user:dex, acme, *, ingest, any, *, -, -, allow
p, acme/user:dex, acme, *, declassify, any, *, -, -, allow
p, acme/user:dex, acme, *, delete, any, *, -, -, allow
# May ingest under her own labels alone.
p, acme/user:pam, acme, *, ingest, owner, *, -, -, allow
p, acme/user:olga, acme, *, audit, any, *, -, -, allow
# May audit one label alone.
p, acme/user:otto, acme, acme/label:project, audit, any, *, -, -, allow
p, borealis/user:bo, borealis, *, ingest, any, *, -, -, allow
p, borealis/user:oz, borealis, *, audit, any, *, -, -, allow
p, borealis/user:bea, borealis, borealis/policy, administer, any, *, -, -, allow
g, acme/user:hal, acme/group:hr
g, acme/user:bob, acme/group:sales
f, acme/user:lee, 2, project
"""

LABELS = {
    "acme/label:payroll": {"owner": "acme/user:dora", "readers": ["acme/group:hr"]},
    "acme/label:project": {"owner": "acme/user:dora", "readers": ["acme/user:bob", "acme/user:lee"]},
    "acme/label:staff": {"owner": "acme/user:dora", "readers": ["*"]},
    "acme/label:board": {
        "owner": "acme/user:dora",
        "readers": ["acme/user:lee", "acme/user:bob"],
        "level": 2,
        "compartments": ["project"],
    },
    "borealis/label:plans": {"owner": "borealis/user:bea", "readers": ["borealis/user:bo"]},
}

MODEL = VectorModel("test-hash", "0" * 64, 8)
FOLDER = SourceIdentity("file:///srv/share", "folder")
INDEXED = StoreMode("indexed", MODEL.dimensions)
DEFAULT_MODE = INDEXED if os.environ.get("RINGFENCE_TEST_MODE") == "indexed" else SEALED
"""The kind of store a test gets that asks for none; `make test-indexed` runs this folder's tests over the other."""
WHY = Reasoned("a test asks for it")
START = datetime(2026, 6, 1, tzinfo=UTC)


class SeededRandomness:
    """Ids and keys from a seed: equal for equal names, whatever was drawn for others."""

    def __init__(self, seed: str) -> None:
        self._seed = seed.encode()
        self._drawn: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def draw(self, size: int, purpose: str, name: str) -> bytes:
        with self._lock:
            number = self._drawn[purpose, name]
            self._drawn[purpose, name] += 1
        text = json.dumps([purpose, name, number]).encode()
        stream = b"".join(
            hmac.digest(self._seed, i.to_bytes(4, "big") + text, "sha256") for i in range(1 + size // 32)
        )
        return stream[:size]


@dataclass
class SteppingClock:
    """A clock that goes one step on with each look at it, and further when told to."""

    at: datetime = START
    step: timedelta = timedelta(milliseconds=1)

    def __call__(self) -> datetime:
        self.at += self.step
        return self.at

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass(frozen=True)
class Seen:
    """Everything one reader can have from a store, in one read."""

    as_of: str
    paths: tuple[str, ...]
    documents: tuple[str, ...]
    texts: tuple[str, ...]
    chunks: tuple[str, ...]
    vectors: bytes
    terms: tuple[tuple[str, ...], ...]
    counts: Mapping[str, int]

    @property
    def ids(self) -> dict[str, str]:
        """Path → document id."""
        return dict(zip(self.paths, self.documents, strict=True))


@dataclass
class World:
    """A store, its keys, and the clock it runs by."""

    folder: Path
    door: Door
    clock: SteppingClock
    ambient: Ambient

    @property
    def path(self) -> Path:
        """The store's folder; of a store in a bucket, that of its log and catalog."""
        if isinstance(place_of(self.folder), Path):
            return self.folder / "store"
        return self.keys.with_name(f"{self.keys.name}.local")

    @property
    def home(self) -> Path:
        return self.folder / "keys"

    @property
    def keys(self) -> Path:
        """The folder of key file and key database."""
        return self.home / self.ground.store_id

    @property
    def ground(self) -> Ground:
        """What lies behind the door, for tests that break it."""
        ground: Ground = self.door._Door__ground  # type: ignore[attr-defined]
        return ground

    def ingestion(self, who: str = ADMIN, source: SourceIdentity = FOLDER, **settings: Any) -> Ingestion:
        return self.door.ingestion(
            subject(who),
            source,
            settings.pop("model", MODEL),
            pipeline=settings.pop("pipeline", "1"),
            **settings,
        )

    def put(self, *drafts: DocumentDraft, who: str = ADMIN, source: SourceIdentity = FOLDER) -> list[str]:
        """Ingest in one run; return the documents' ids."""
        with self.ingestion(who, source) as ingestion:
            return [ingestion.put(document) for document in drafts]

    def see(self, who: str, *, via: tuple[str, ...] = (), purpose: str = "") -> Seen:
        return see(self.door, Subject(who, via, purpose))

    def add(self, *fields: str, who: str = ADMIN) -> bool:
        return self.door.add_row(subject(who), row(*fields), WHY)

    def remove(self, *fields: str, who: str = ADMIN) -> bool:
        return self.door.remove_row(subject(who), row(*fields), WHY)

    def reopened(self) -> World:
        """Close the store and open it again."""
        self.door.close()
        return open_world(self.folder, self.clock)

    def second(self) -> World:
        """Open the store a second time, beside the first."""
        return open_world(self.folder, self.clock)

    def records(self) -> list[dict[str, Any]]:
        """All audit records as they lie on the disk, in the order they were made."""
        lines = [line for file in self.segments() for line in file.read_text().splitlines()]
        return sorted(map(json.loads, lines), key=lambda record: str(record["at"]))

    def segments(self) -> list[Path]:
        return sorted((self.path / "audit").glob("*.jsonl"))


def place_of(folder: Path) -> Path | str:
    """A world's store: the folder in it, or the address of a bucket that a file in it names."""
    named = folder / "address"
    return named.read_text() if named.exists() else folder / "store"


def subject(who: str) -> Subject:
    return Subject(who)


def row(*fields: str) -> Row:
    return from_fields(fields)


def bundle(text: str = POLICY, labels: Mapping[str, Mapping[str, object]] | None = None) -> PolicyBundle:
    named = LABELS if labels is None else labels
    return PolicyBundle(
        parse_policy_csv(text.encode(), "policy.csv"),
        tuple(NamedLabel(name, Label.from_mapping(fields)) for name, fields in named.items()),
        "a test",
    )


def make_world(
    folder: Path,
    *,
    seed: str = "",
    policy: PolicyBundle | None = None,
    admin: str = ADMIN,
    catalog: str | None = None,
    keys: str = "file",
    address: str | None = None,
    mode: StoreMode | None = None,
) -> World:
    """Make a new store; with a seed, its ids and keys are those of every store of that seed.

    With an address it is in that bucket; how it is reached comes from the environment.
    With a URL its catalog is in that Postgres; the password to open it again comes from PGPASSWORD.
    """
    clock = SteppingClock()
    ambient = Ambient(clock, SeededRandomness(seed)) if seed else Ambient(clock)
    folder.mkdir(parents=True, exist_ok=True)
    if address is not None:
        (folder / "address").write_text(address)
    door, _ = Door.create(
        place_of(folder),
        policy or bundle(),
        admin,
        keys_home=folder / "keys",
        ambient=ambient,
        catalog=catalog,
        keys=keys,
        mode=mode or DEFAULT_MODE,
    )
    return World(folder, door, clock, ambient)


def open_world(folder: Path, clock: SteppingClock | None = None) -> World:
    clock = clock or SteppingClock()
    ambient = Ambient(clock)
    return World(
        folder, Door.open(place_of(folder), keys_home=folder / "keys", ambient=ambient), clock, ambient
    )


def copy_world(original: World, folder: Path) -> World:
    """Open a copy of a store that nobody writes."""
    shutil.copytree(original.folder, folder, dirs_exist_ok=True)
    return open_world(folder, SteppingClock(original.clock.at))


@contextmanager
def database(path: Path) -> Iterator[sqlite3.Connection]:
    """A SQLite file as one sees it who has the files and not the keys; what is changed is kept."""
    with closing(sqlite3.connect(path)) as connection, connection:
        yield connection


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size: what a full disk does, without filling one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def label(owner: str = "acme/user:dora", *readers: str, **fields: object) -> Label:
    return Label.from_mapping({"owner": owner, "readers": list(readers), **fields})


def draft(
    path: str,
    text: str,
    choice: LabelChoice = "acme/label:staff",
    *,
    parents: Iterable[str] = (),
    dimensions: int = 8,
    title: str | None = None,
) -> DocumentDraft:
    """A document whose chunks are its lines."""
    return DocumentDraft(
        path=path,
        title=path.rpartition("/")[2] if title is None else title,
        media_type="text/plain",
        modified=None,
        size=len(text.encode()),
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        text=text,
        label=choice,
        label_origin="explicit",
        parents=tuple(parents),
        chunks=tuple(_chunks(text, dimensions)),
    )


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def vector(text: str, dimensions: int = 8) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A unit vector that depends on the text alone."""
    raw = np.frombuffer(hashlib.shake_256(text.encode()).digest(2 * dimensions), "<i2").astype(np.float32)
    return np.asarray(raw / np.linalg.norm(raw), dtype=np.float32)


def see(door: Door, who: Subject) -> Seen:
    """Return everything the subject can have, in one read."""

    def work(reader: GrantedReader) -> Answer[Seen]:
        documents = sorted(reader.documents(), key=lambda found: str(found.metadata["path"]))
        block = reader.chunks(vectors=True, terms=True)
        assert block.vectors is not None
        assert block.terms is not None
        texts = reader.chunk_texts(block.ids)
        vectors, terms = block.vectors.tobytes(), block.terms
        counts = {name: reader.count(name) for name in ("documents", "chunks", "edges")}

        def finish(as_of: str) -> Seen:
            return Seen(
                as_of=as_of,
                paths=tuple(str(found.metadata["path"]) for found in documents),
                documents=tuple(found.document_id for found in documents),
                texts=tuple(reader.document_text(found.document_id) for found in documents),
                chunks=tuple(texts[chunk].text for chunk in block.ids),
                vectors=vectors,
                terms=terms,
                counts=counts,
            )

        rows = [(found.document_id, found.atom) for found in documents]
        ids = [found.document_id for found in documents]
        return Answer([*rows, *zip(block.ids, map(int, block.atoms), strict=True)], finish, documents=ids)

    return door.read(who, "list", work)


def _chunks(text: str, dimensions: int) -> Iterator[ChunkDraft]:
    start = 0
    for line in text.splitlines(keepends=True):
        end, words = start + len(line), line.split()
        if words:
            yield ChunkDraft(start, end, line, vector(line, dimensions), tuple(words), len(words))
        start = end


@contextmanager
def process(program: str, folder: Path, *arguments: str) -> Iterator[Talk]:
    """Run one of the programs of `processes.py`, and end it on leaving."""
    child = started("ground.processes", program, str(folder), *arguments)
    try:
        yield Talk(child)
    finally:
        child.close()


@dataclass(frozen=True)
class Talk:
    """A process and what it says."""

    child: Child

    def hear(self) -> dict[str, Any]:
        """Return the next thing it says; the test fails if it says nothing more."""
        line = self.child.stdout.readline()
        assert line, "the process ended without an answer; its error is above"
        heard: dict[str, Any] = json.loads(line)
        return heard

    def hear_out(self) -> list[dict[str, Any]]:
        """Return all it still says until it ends, and wait for that."""
        heard = [json.loads(line) for line in self.child.stdout]
        self.child.wait()
        return heard

    def tell(self) -> None:
        """Let it go on."""
        self.child.stdin.write("\n")
        self.child.stdin.flush()
