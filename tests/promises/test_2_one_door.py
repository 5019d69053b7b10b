"""Promise 2: one door.

A hostile walk over every public object, over every error and over everything
that is printed or logged finds no table, connection, key or path to read by,
and no word of a document its reader may not read.
"""

from __future__ import annotations

import base64
import copy
import dataclasses
import functools
import importlib
import inspect
import io
import json
import logging
import os
import pickle
import pkgutil
import resource
import shutil
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import ringfence
from ringfence_governance.audit_schema import SCHEMAS
from ringfence_governance.door import Door
from ringfence_governance.reading import Answer
from ringfence_governance.subjects import Subject
from ringfence_ingest.embedders import open_embedder

from .public_walk import ENGINES, INNER, Walk, is_ours, private_names

REPO = Path(__file__).resolve().parents[2]
PACKAGES = (
    "ringfence",
    "ringfence_retrieval",
    "ringfence_ingest",
    "ringfence_governance",
    "ringfence_policies",
)

ADA, OLGA, INGESTER = "acme/user:ada", "acme/user:olga", "acme/user:ingester"
RITA, DORA, GHOST = "acme/user:rita", "acme/user:dora", "acme/user:ghost"

POLICY = f"""\
p, *, *, *, read, owner, *, -, -, allow
p, *, *, *, read, reader, *, -, -, allow
p, *, *, *, *, denied, *, -, -, deny
p, {ADA}, acme, acme/policy, administer, any, *, -, -, allow
p, {OLGA}, acme, *, audit, any, *, -, -, allow
g, {RITA}, acme/group:sales
"""
LABELS = f"""\
labels:
  acme/label:secretlabelname:
    owner: {DORA}
  acme/label:sharedlabelname:
    owner: {DORA}
    readers: [acme/group:sales]
"""
CANARIES = {
    "shared": ("sharedzebrafinch", "sales/sharedpathquokka.txt"),
    "hidden": ("hiddenwolverine", "hr/hiddenpathnarwhal.txt"),
    "named": ("namedaxolotl", "board/namedpathpangolin.txt"),
}
"""What the three documents are called here -> a word of each, and its path."""

READABLE = {RITA: {"shared"}, DORA: {"shared", "hidden", "named"}, GHOST: set(), OLGA: set(), ADA: set()}


def documents() -> list[ringfence.Document]:
    labels = {
        "shared": "acme/label:sharedlabelname",
        "hidden": ringfence.Label.from_mapping({"owner": DORA}),
        "named": "acme/label:secretlabelname",
    }
    return [
        ringfence.Document(path, f"The {word} is worth a pump.\n\nA second {word} too.", label=labels[name])
        for name, (word, path) in CANARIES.items()
    ]


@dataclass
class Scene:
    """An open store, what was got from it by whom, and what was printed meanwhile."""

    store: ringfence.Store
    path: Path
    got: dict[str, list[tuple[str, object]]] = field(default_factory=dict)
    printed: str = ""

    def keep(self, who: str, name: str, thing: object) -> None:
        self.got.setdefault(who, []).append((name, thing))

    def keep_error(self, who: str, name: str, call: Callable[[], object]) -> None:
        """Keep the error a call ends in; that it ends in one is part of the test."""
        try:
            call()
        except BaseException as error:  # noqa: BLE001  (an interrupt is walked too)
            self.keep(who, f"{name} -> {type(error).__name__}", error)
        else:
            pytest.fail(f"{name} raised nothing")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Everything a program can be handed by the public face, got once by each of several subjects."""
    folder = tmp_path_factory.mktemp("door")
    (folder / "policy").mkdir()
    (folder / "policy" / "policy.csv").write_text(POLICY, "utf-8")
    (folder / "policy" / "labels.yaml").write_text(LABELS, "utf-8")
    logged = io.StringIO()
    handler = logging.StreamHandler(logged)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        path = folder / "store"
        with ringfence.create(path, folder / "policy", admin=INGESTER, embedder="hash") as store:
            made = Scene(store, path)
            ingest_everything(made)
            for who in READABLE:
                read_everything(made, who)
            fail_everywhere(made, folder)
            made.printed = logged.getvalue()
            yield made
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def ingest_everything(scene: Scene) -> None:
    reports: list[object] = []
    summary = scene.store.ingest(documents(), as_user=INGESTER, on_progress=reports.append)
    assert summary.added == len(CANARIES)
    scene.keep(GHOST, "store", scene.store)
    scene.keep(GHOST, "progress", reports)
    scene.keep(INGESTER, "summary", summary)
    scene.keep(INGESTER, "planned", scene.store.ingest(documents(), as_user=INGESTER, dry_run=True))


def read_everything(scene: Scene, who: str) -> None:
    reader = scene.store.as_user(who)
    scene.keep(who, "reader", reader)
    scene.keep(who, "subject", reader.subject)
    for mode in ("vector", "text", "hybrid"):
        found = reader.search("pump", mode=mode)
        assert {hit.source.path for hit in found} == {CANARIES[name][1] for name in READABLE[who]}
        scene.keep(who, f"search {mode}", found)
        scene.keep(who, f"hits {mode}", [*found, iter(found), found.to_mapping()])
        scene.keep(who, f"table {mode}", found.to_arrow().to_pylist())
    found = reader.context("pump")
    scene.keep(who, "context", [found, *found, *found.citations, iter(found), found.text, found.to_mapping()])
    listed = reader.list()
    scene.keep(who, "list", listed)
    scene.keep(who, "count", reader.count())
    scene.keep(who, "status", reader.status())
    scene.keep(who, "what", reader.what(documents=True))
    for document in listed:
        scene.keep(who, "text", reader.text(document))
        scene.keep(who, "why", reader.why(document))
    hidden = scene.store.as_user(DORA).list()[0].id
    if who == OLGA:
        scene.keep(who, "who", reader.who(hidden))
        scene.keep(who, "why_for", reader.why_for(RITA, hidden))
        scene.keep(who, "what_for", reader.what_for(DORA))
        scene.keep(who, "log", reader.log())
        tables = reader.audit_database()
        scene.keep(who, "audit_database", tables)
        for query in (*(f"FROM {name}" for name in SCHEMAS), "FROM who_can(?)"):
            scene.keep(who, query, tables.sql(query, [hidden] if "?" in query else []))
        scene.keep_error(who, "sql that fails", lambda: tables.sql("SELECT error(owner) FROM labels"))
        scene.keep_error(who, "sql that is none", lambda: tables.sql("ATTACH 'x'"))
    if who == ADA:
        scene.keep(who, "policy", reader.policy())
        scene.keep(who, "diff_policy", reader.diff_policy(scene.path.parent / "policy"))
        scene.keep(who, "apply_policy", reader.apply_policy(scene.path.parent / "policy", why="as it is"))
    if who in (ADA, OLGA):
        scene.keep(who, "labels", reader.labels())
        scene.keep(who, "label_history", reader.label_history("acme/label:secretlabelname"))
    for name, call in refusals(reader, hidden, who, scene.path.parent / "policy"):
        scene.keep_error(who, name, call)


def refusals(
    reader: ringfence.Reader, hidden: str, who: str, files: Path
) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield calls that this reader is refused, about an object that exists."""
    if who != DORA:
        yield "text", lambda: reader.text(hidden)
        yield "why", lambda: reader.why(hidden)
        yield "register_answer", lambda: reader.register_answer("A pump.", [hidden])
    if who != OLGA:
        yield "who", lambda: reader.who(hidden)
        yield "why_for", lambda: reader.why_for(DORA, hidden)
        yield "what_for", lambda: reader.what_for(DORA)
        yield "log", reader.log
        yield "audit_database", reader.audit_database
    if who != ADA:
        yield "policy", reader.policy
        yield "grant", lambda: reader.grant(who, "read", "acme/label:secretlabelname", why="mine")
        yield "revoke", lambda: reader.revoke(DORA, "read", "*", why="mine")
        yield "add_member", lambda: reader.add_member(who, "acme/group:sales", why="mine")
        yield "remove_member", lambda: reader.remove_member(RITA, "acme/group:sales", why="mine")
        label = ringfence.Label.from_mapping({"owner": who})
        yield "define_label", lambda: reader.define_label("acme/label:secretlabelname", label, why="mine")
        yield "redefine_label", lambda: reader.redefine_label("acme/label:secretlabelname", label, why="mine")
        yield "expire_label", lambda: reader.expire_label("acme/label:secretlabelname", why="mine")
        yield "apply_policy", lambda: reader.apply_policy(files, why="mine")
        yield "diff_policy", lambda: reader.diff_policy(files)
    if who not in (ADA, OLGA):
        yield "labels", reader.labels
        yield "label_history", lambda: reader.label_history("acme/label:secretlabelname")
    yield "malformed grant", lambda: reader.grant("Ada", "reed", "everything", why="x")
    yield "empty query", lambda: reader.search("")
    yield "k", lambda: reader.search("pump", k="many")  # type: ignore[arg-type]
    yield "no object", lambda: reader.why(None)  # type: ignore[arg-type]
    yield "arguments", reader.search
    yield "pickle", lambda: pickle.dumps(reader)


class Stop(Exception):
    """What an application's own callback or connector raises."""


def fail_everywhere(scene: Scene, folder: Path) -> None:
    """Make the store fail in as many ways as can be had from outside, while hidden rows are in its hands."""
    store, reader = scene.store, scene.store.as_user(RITA)

    def stopping(_: object) -> None:
        raise Stop("the application's own")

    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    def connector() -> Iterator[ringfence.Document]:
        yield documents()[1]
        raise Stop("the connector's own")

    changed = [dataclasses.replace(each, content=f"{each.content!r} changed") for each in documents()]
    ingest = functools.partial(store.ingest, as_user=INGESTER)
    scene.keep_error(GHOST, "callback", lambda: ingest(changed, on_progress=stopping))
    scene.keep_error(GHOST, "interrupt", lambda: ingest(changed, on_progress=interrupted))
    scene.keep_error(GHOST, "connector", lambda: ingest(connector()))
    scene.keep_error(GHOST, "source", lambda: ingest(folder / "nowhere"))
    scene.keep_error(GHOST, "ingest", lambda: store.ingest(documents(), as_user=GHOST))
    unknown = [dataclasses.replace(each, label="acme/label:none") for each in documents()]
    scene.keep(INGESTER, "refused", ingest(unknown))
    scene.keep_error(GHOST, "open", lambda: ringfence.open(folder))
    scene.keep_error(GHOST, "other policy", lambda: ringfence.open(scene.path, other_policy(folder)))
    scene.keep_error(GHOST, "create", lambda: ringfence.create(scene.path))
    scene.keep_error(GHOST, "bad policy", lambda: ringfence.create(folder / "x", bad_policy(folder)))
    scene.keep_error(RITA, "embedder", lambda: broken_embedder_search(scene))
    with no_file_grows(scene.path / "audit"):
        scene.keep_error(RITA, "audit", lambda: reader.search("pump"))
        scene.keep_error(RITA, "audit of a refusal", reader.log)
    for damage in (damaged_catalog, damaged_rows, no_tables):
        scene.keep_error(RITA, damage.__name__, lambda d=damage: d(scene, folder / d.__name__))


def other_policy(folder: Path) -> Path:
    other = folder / "other"
    other.mkdir(exist_ok=True)
    (other / "policy.csv").write_text(POLICY.replace(RITA, "acme/user:rob"), "utf-8")
    return other


def bad_policy(folder: Path) -> Path:
    other = folder / "bad"
    other.mkdir(exist_ok=True)
    (other / "policy.csv").write_text("p, ada, acme\n", "utf-8")
    return other


class BrokenEmbedder:
    """An application's embedder that fails when a question is put."""

    def __init__(self) -> None:
        self.model = open_embedder("hash").model

    def embed(self, texts: object) -> None:
        raise Stop("the embedder's own")


def broken_embedder_search(scene: Scene) -> None:
    with ringfence.open(scene.path, embedder=BrokenEmbedder()) as store:  # type: ignore[arg-type]
        store.as_user(RITA).search("pump")


@contextmanager
def no_file_grows(folder: Path) -> Iterator[None]:
    """As on a full disk: no file of this process gets longer than the folder's longest."""
    longest = max(file.stat().st_size for file in folder.iterdir())
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (longest, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def copied(scene: Scene, folder: Path) -> Path:
    return Path(shutil.copytree(scene.path, folder / "store"))


def damaged_catalog(scene: Scene, folder: Path) -> None:
    path = copied(scene, folder)
    (path / "catalog.db-wal").unlink(missing_ok=True)
    (path / "catalog.db").write_bytes(b"no database" * 4096)
    with ringfence.open(path) as store:
        store.as_user(RITA).search("pump")


def damaged_rows(scene: Scene, folder: Path) -> None:
    path = copied(scene, folder)
    for file in (path / "lance" / "chunks.lance" / "data").iterdir():
        file.write_bytes(os.urandom(file.stat().st_size))
    with ringfence.open(path, embedder="hash") as store:
        store.as_user(DORA).search("pump")


def no_tables(scene: Scene, folder: Path) -> None:
    path = copied(scene, folder)
    shutil.rmtree(path / "lance")
    with ringfence.open(path, embedder="hash") as store:
        store.as_user(DORA).list()


# What was got is walked.


@pytest.fixture(scope="module")
def private() -> frozenset[str]:
    return private_names(REPO / "docs" / "threat-model.md")


@pytest.fixture(scope="module")
def secrets(scene: Scene) -> list[bytes]:
    """Every key of the store, as bytes and as it is written."""
    assert scene.store.key_path is not None
    written = scene.store.key_path.read_text("ascii").split()[-1]
    master = base64.b64decode(written)
    ground = scene.store._Store__door._Door__ground  # type: ignore[attr-defined]
    keys = [master, *(ground.keys.store_key(purpose) for purpose in ("catalog", "digest", "as_of", "query"))]
    return [*keys, *(key.hex().encode() for key in keys), written.encode()]


@pytest.fixture(scope="module")
def walks(scene: Scene, private: frozenset[str]) -> dict[str, Walk]:
    """Subject -> everything reached from what he got."""
    walks = {}
    for who, things in scene.got.items():
        walks[who] = Walk(private, application=__name__)
        for name, thing in things:
            walks[who].from_(name, thing)
    return walks


def test_the_walk_reaches_what_it_should(walks: dict[str, Walk]) -> None:
    """It goes through results, errors and frames; else the tests below would say nothing."""
    reached = walks[RITA].found
    kinds = {type(thing).__name__ for _, thing in reached}
    assert {"Reader", "SearchResult", "Hit", "Source", "DocumentList", "Document", "DocumentText"} <= kinds
    assert {"Counts", "Explanation", "Subject", "traceback", "frame", "cell", "method"} <= kinds
    raised = {type(thing).__name__ for walk in walks.values() for _, thing in walk.found}
    assert {"NotReadable", "Refused", "InvalidInput", "PolicyRefused", "AuditUnavailable"} <= raised
    assert {"StoreError", "StoreCorrupt", "Stop", "KeyboardInterrupt", "TypeError"} <= raised
    assert any(CANARIES["shared"][0] in thing for _, thing in reached if isinstance(thing, str))


def test_no_engine_object_and_no_inner_part_is_reached(walks: dict[str, Walk]) -> None:
    for who, walk in walks.items():
        for path, thing in walk.found:
            kind = type(thing)
            assert kind.__module__.split(".")[0] not in ENGINES, f"{who}: {path}: {kind}"
            assert not (is_ours(kind) and kind.__name__ in INNER), f"{who}: {path}: {kind}"


def test_no_key_is_reached(walks: dict[str, Walk], secrets: list[bytes]) -> None:
    for who, walk in walks.items():
        for path, data in leaves(walk):
            assert not any(secret in data for secret in secrets), f"{who}: {path}"


def test_no_path_into_the_store_is_reached(walks: dict[str, Walk], scene: Scene) -> None:
    inside = f"{scene.path}{os.sep}".encode()
    for who, walk in walks.items():
        for path, data in leaves(walk):
            assert inside not in data, f"{who}: {path}: {data!r}"
            assert b".lance" not in data, f"{who}: {path}: {data!r}"


def test_no_word_of_an_unreadable_document_is_reached(walks: dict[str, Walk]) -> None:
    for who in READABLE:
        for name in set(CANARIES) - READABLE[who]:
            for canary in CANARIES[name]:
                for path, data in leaves(walks[who]):
                    assert canary.encode() not in data, f"{who}: {path}: {data!r}"


def test_no_name_of_an_unreadable_label_is_reached(walks: dict[str, Walk]) -> None:
    """Nor of a readable one that is another's: its name is told to who owns it or may audit it."""
    for path, data in leaves(walks[RITA]):
        assert b"labelname" not in data, path


def test_a_summary_and_the_progress_hold_no_word_of_a_document(walks: dict[str, Walk]) -> None:
    words = [word.encode() for word, _ in CANARIES.values()]
    for who in (INGESTER, GHOST):
        for path, data in leaves(walks[who]):
            assert not any(word in data for word in words), f"{path}: {data!r}"


def leaves(walk: Walk) -> Iterator[tuple[str, bytes]]:
    for path, thing in walk.found:
        if isinstance(thing, str):
            yield path, thing.encode("utf-8", "surrogatepass")
        elif isinstance(thing, (bytes, bytearray)):
            yield path, bytes(thing)


def test_every_printed_form_is_free_of_what_is_hidden(scene: Scene, secrets: list[bytes]) -> None:
    """In its words, its paths, and the names of engines and inner parts."""
    for who, things in scene.got.items():
        hidden = set(CANARIES) - READABLE.get(who, set())
        words = [word for name in hidden for word in CANARIES[name][:1]]
        for name, thing in things:
            for printed in (repr(thing), str(thing), format(thing)):
                assert not any(word in printed for word in words), f"{who}: {name}"
                assert not any(secret.decode("latin-1") in printed for secret in secrets)
                assert not any(f"{inner}(" in printed or f".{inner} object" in printed for inner in INNER), (
                    name
                )
                assert str(scene.path) not in printed or name in STORE_IS_NAMED, f"{who}: {name}: {printed}"


def test_what_is_logged_and_recorded_holds_no_word_and_no_name(scene: Scene) -> None:
    recorded = [
        file.read_text("utf-8") for name in ("audit", "lineage") for file in (scene.path / name).iterdir()
    ]
    assert len(recorded) >= 2
    for text in [scene.printed, *recorded]:
        for canary in [*(each for pair in CANARIES.values() for each in pair), "secretlabelname", "pump"]:
            assert canary not in text


def test_nothing_is_printed_by_reading_writing_or_failing(
    scene: Scene, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    scene.store.ingest(documents(), as_user=INGESTER)
    read_everything(Scene(scene.store, scene.path), RITA)
    assert capfd.readouterr() == ("", "")


# What is not data cannot be copied out of the process.


STORE_IS_NAMED = {"store", "create -> StoreError"}
"""What says where the store is: the store, and an error of opening it, to who gave the path himself."""


def opened(scene: Scene) -> list[object]:
    return [scene.store, scene.store.as_user(RITA), scene.store._Store__door]  # type: ignore[attr-defined]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_nothing_open_can_be_pickled(scene: Scene, protocol: int) -> None:
    for thing in opened(scene):
        with pytest.raises(TypeError):
            pickle.dumps(thing, protocol)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_nothing_open_can_be_copied(scene: Scene, duplicate: Callable[[object], object]) -> None:
    for thing in opened(scene):
        with pytest.raises(TypeError):
            duplicate(thing)


def test_a_pickled_result_is_the_result_and_no_more(scene: Scene) -> None:
    for name, thing in scene.got[RITA]:
        if name.startswith(("search", "list", "count", "text", "why", "status")) and "->" not in name:
            pickled = pickle.dumps(thing)
            assert pickle.loads(pickled) == thing
            for hidden in ("hidden", "named"):
                assert not any(canary.encode() in pickled for canary in CANARIES[hidden])


def test_a_pickled_error_carries_its_message_and_no_more(scene: Scene) -> None:
    for name, thing in scene.got[RITA]:
        if isinstance(thing, ringfence.RingfenceError) and not isinstance(thing, ringfence.PolicyRefused):
            assert json.dumps(str(thing))
            assert set(vars(thing)) <= {"hint"}, name


# No class hands on what it was not asked to.


def public_classes() -> list[type]:
    found = [getattr(ringfence, name) for name in ringfence.__all__]
    return [each for each in found if inspect.isclass(each)]


def test_no_public_class_delegates_attributes() -> None:
    for kind in [*public_classes(), Door]:
        for each in kind.__mro__[:-1]:
            for hook in ("__getattr__", "__getattribute__"):
                assert hook not in vars(each) or each.__module__ == "builtins", f"{each}: {hook}"


def test_no_public_method_or_property_says_it_returns_something_inner() -> None:
    for kind in public_classes():
        for name, value in vars(kind).items():
            if name.startswith("_"):
                continue
            call = value.fget if isinstance(value, property) else value
            returned = str(getattr(call, "__annotations__", {}).get("return", ""))
            words = set(returned.replace("[", " ").replace("]", " ").replace(".", " ").split())
            assert not words & (INNER | {"Path", "Connection", "Engine", "LanceDataset"}), (kind, name)


def test_a_granted_reader_reads_nothing_once_its_read_is_over(scene: Scene) -> None:
    door: Door = scene.store._Store__door  # type: ignore[attr-defined]
    kept: list[Any] = []

    def work(reader: Any) -> Answer[int]:
        kept.append(reader)
        return Answer([], lambda as_of: len(reader.documents()))

    assert door.read(Subject(DORA), "list", work) == 3
    for call in (kept[0].documents, kept[0].chunks, lambda: kept[0].count("chunks")):
        with pytest.raises(ringfence.Refused):
            call()


def test_no_module_holds_anything_open(scene: Scene) -> None:
    """Modules stay when a store is closed; what they hold, every program in the process can find."""
    for package in PACKAGES:
        for found in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if not found.name.endswith("__main__"):
                importlib.import_module(found.name)
    walk = Walk()
    for name, module in sorted(sys.modules.items()):
        if name.split(".")[0] in PACKAGES:
            for held, value in vars(module).items():
                if not held.startswith("__") and not (inspect.isclass(value) and not is_ours(value)):
                    walk.from_(f"{name}.{held}", value)
    open_kinds = INNER | {
        "Engine",
        "Connection",
        "LanceDataset",
        "LanceDBConnection",
        "AESGCM",
        "Store",
        "Reader",
    }
    for path, thing in walk.found:
        assert type(thing).__name__ not in open_kinds, f"{path}: {type(thing)}"


def test_a_store_leaves_nothing_open_behind(tmp_path: Path) -> None:
    with closing(ringfence.create(tmp_path / "s", admin=ADA, embedder="hash")) as store:
        store.ingest(documents()[1:2], as_user=ADA)
        list(store.as_user(DORA).list())
    held = [os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd") if name_exists(name)]
    assert not [path for path in held if path.startswith(str(tmp_path))]


def name_exists(name: str) -> bool:
    return os.path.islink(f"/proc/self/fd/{name}")


# The walk is worth something only if it finds a way in that is there.


@pytest.mark.parametrize("way", ["attribute", "closure", "frame", "cause", "partial", "weak", "generator"])
def test_a_planted_way_in_is_found(way: str, scene: Scene, private: frozenset[str]) -> None:
    ground = scene.store._Store__door._Door__ground  # type: ignore[attr-defined]

    def through_a_frame() -> BaseException:
        try:
            held = ground
            raise Stop(str(len(repr(held))))
        except Stop as error:
            return error

    def generator() -> Iterator[object]:
        held = ground
        yield 1
        yield held

    started = generator()
    next(started)
    cause = Stop("outside")
    cause.__cause__ = through_a_frame()
    holder = ringfence.RingfenceError("x")
    holder.facts = ground  # type: ignore[attr-defined]
    ways: dict[str, object] = {
        "attribute": holder,
        "closure": lambda: ground,
        "frame": through_a_frame(),
        "cause": cause,
        "partial": functools.partial(repr, ground),
        "weak": weakref.ref(scene.store._Store__door),  # type: ignore[attr-defined]
        "generator": started,
    }
    reached = Walk(private).from_(way, ways[way]).found
    assert any(is_ours(type(thing)) and type(thing).__name__ in INNER for _, thing in reached)
