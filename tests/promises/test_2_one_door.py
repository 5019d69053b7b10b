"""Promise 2: one door.

A hostile walk over every public object, over every error and over everything
that is printed or logged finds no table, connection, key or path to read by,
and no word of a document its reader may not read.
"""

from __future__ import annotations

import base64
import copy
import functools
import importlib
import inspect
import json
import os
import pickle
import pkgutil
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import ringfence
from ringfence_governance.door import Door
from ringfence_governance.reading import Answer
from ringfence_governance.subjects import Subject

from .public_walk import ENGINES, INNER, Walk, is_ours, private_names
from .scene import (
    ADA,
    CANARIES,
    DORA,
    GHOST,
    INGESTER,
    READABLE,
    RITA,
    Scene,
    Stop,
    documents,
    handed_out,
    read_everything,
)

REPO = Path(__file__).resolve().parents[2]
PACKAGES = (
    "ringfence",
    "ringfence_retrieval",
    "ringfence_ingest",
    "ringfence_governance",
    "ringfence_policies",
)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Got once by each of several subjects."""
    with handed_out(tmp_path_factory.mktemp("door")) as made:
        yield made


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
        walks[who] = Walk(private, application=handed_out.__module__)
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
