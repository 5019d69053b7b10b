"""Walk from a public object to everything that can be reached from it, as a curious program would.

Attributes, `dir`, `vars`, slots, methods and what they are bound to, closures,
defaults, generators, weak references, errors with their causes and the locals
of their frames, and whatever Python's own garbage collector says an object
refers to. Left out are only the private names that docs/threat-model.md lists.
"""

from __future__ import annotations

import functools
import gc
import re
import types
import weakref
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePath
from typing import Any

ENGINES = (
    "lance",
    "lancedb",
    "sqlalchemy",
    "sqlite3",
    "_sqlite3",
    "duckdb",
    "_duckdb",
    "cryptography",
    "casbin",
)
"""Whoever holds one of their objects holds the store, a key or the policy."""

INNER = {
    "Answer",
    "AuditDesk",
    "AuditFacts",
    "AuditLog",
    "AuditScope",
    "AuditSession",
    "Catalog",
    "CheckpointFile",
    "CheckpointKeeper",
    "Cipher",
    "SqliteDatabase",
    "PostgresDatabase",
    "PostgresWatch",
    "Door",
    "Floors",
    "Grant",
    "GrantedReader",
    "Ground",
    "Ingestion",
    "Issued",
    "KeyFile",
    "KeyStore",
    "KeyVariable",
    "Keyring",
    "KmsKeys",
    "LabelTable",
    "LanceTables",
    "MasterGenerations",
    "MasterKey",
    "Moment",
    "OpenSegment",
    "Prepared",
    "ReadableRows",
    "Resident",
    "Segment",
    "Snapshot",
    "WriteAuthority",
    "WriteBatch",
    "WriterLease",
}
"""Our own classes that are parts of an open store."""

LEAVES = (str, bytes, bytearray, int, float, complex, bool, type(None), range)
NOT_FOLLOWED = (types.ModuleType, types.BuiltinFunctionType, types.CodeType)
OBJECTS_MAX = 400_000


def private_names(threat_model: Path) -> frozenset[str]:
    """Return the attributes the threat model lists under its heading `Private names`."""
    section = threat_model.read_text("utf-8").split("## Private names", 1)[1].split("\n## ", 1)[0]
    names = frozenset(re.findall(r"`(_[A-Z]\w*__\w+)`", section))
    assert names, "the threat model lists no private name"
    return names


class Walk:
    """What was reached, and how."""

    def __init__(self, private: Iterable[str] = (), application: str = "") -> None:
        """Leave out private names, and the frames of the application: the module that calls."""
        self.private = frozenset(private)
        self.application = application
        self.found: list[tuple[str, object]] = []
        self._seen: dict[int, object] = {}

    def from_(self, name: str, start: object) -> Walk:
        """Walk from one object; what was reached before is not walked again."""
        waiting = [(name, start)]
        while waiting:
            path, reached = waiting.pop()
            if id(reached) in self._seen:
                continue
            # Kept, so that its id is not given to another object.
            self._seen[id(reached)] = reached
            self.found.append((path, reached))
            assert len(self.found) < OBJECTS_MAX, f"the walk does not end: {path}"
            if not isinstance(reached, (*LEAVES, *NOT_FOLLOWED)):
                waiting.extend((f"{path}{step}", after) for step, after in self._steps(reached))
        return self

    def _steps(self, reached: object) -> Iterator[tuple[str, object]]:
        if isinstance(reached, types.FrameType) and reached.f_globals.get("__name__") == self.application:
            return
        for kind, steps in STEPS:
            if isinstance(reached, kind):
                yield from steps(reached)
                return
        if isinstance(reached, type):
            if is_ours(reached):
                yield from ((f".{name}", value) for name, value in vars(reached).items())
            return
        hidden = set()
        if is_ours(type(reached)) or isinstance(reached, BaseException):
            for name in names_of(reached):
                if name in self.private:
                    hidden.add(id(value_of(reached, name)))
                else:
                    yield f".{name}", value_of(reached, name)
        for number, referent in enumerate(gc.get_referents(reached)):
            if id(referent) not in hidden and not isinstance(referent, type):
                yield f"<{number}>", referent


def names_of(reached: object) -> list[str]:
    """Return every attribute name: those `dir` tells, those in `vars`, and the slots of all its classes."""
    names = {
        name for name in dir(reached) if name not in ("__class__", "__subclasshook__", "__init_subclass__")
    }
    names |= set(getattr(reached, "__dict__", {}))
    for kind in type(reached).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for slot in [slots] if isinstance(slots, str) else slots:
            mangled = slot.startswith("__") and not slot.endswith("__")
            names.add(f"_{kind.__name__.lstrip('_')}{slot}" if mangled else slot)
    return sorted(names)


def value_of(reached: object, name: str) -> object:
    """Return an attribute's value, or the error that reading it ends in."""
    try:
        return getattr(reached, name)
    except Exception as error:  # noqa: BLE001  (whatever it is, it is walked too)
        return error


def is_ours(kind: type) -> bool:
    return kind.__module__.split(".")[0].startswith("ringfence")


def _mapping(reached: Any) -> Iterator[tuple[str, object]]:
    for key, value in list(reached.items()):
        yield "<key>", key
        yield f"[{key!r:.40}]", value


def _sequence(reached: Any) -> Iterator[tuple[str, object]]:
    yield from ((f"[{place}]", item) for place, item in enumerate(list(reached)))


def _function(reached: Any) -> Iterator[tuple[str, object]]:
    yield from ((f".__closure__[{n}]", cell) for n, cell in enumerate(reached.__closure__ or ()))
    yield ".__defaults__", reached.__defaults__
    yield ".__kwdefaults__", reached.__kwdefaults__
    yield ".__dict__", reached.__dict__


def _cell(reached: Any) -> Iterator[tuple[str, object]]:
    try:
        yield ".cell_contents", reached.cell_contents
    except ValueError:
        return


def _method(reached: Any) -> Iterator[tuple[str, object]]:
    yield ".__self__", reached.__self__
    yield ".__func__", reached.__func__


def _frame(reached: Any) -> Iterator[tuple[str, object]]:
    # Not f_back: who called is the application itself.
    yield ".f_locals", dict(reached.f_locals)


def _traceback(reached: Any) -> Iterator[tuple[str, object]]:
    yield ".tb_frame", reached.tb_frame
    yield ".tb_next", reached.tb_next


def _generator(reached: Any) -> Iterator[tuple[str, object]]:
    yield ".gi_frame", reached.gi_frame
    yield ".gi_yieldfrom", reached.gi_yieldfrom


def _weak(reached: Any) -> Iterator[tuple[str, object]]:
    yield "()", reached()


def _partial(reached: Any) -> Iterator[tuple[str, object]]:
    yield from ((f".{name}", getattr(reached, name)) for name in ("func", "args", "keywords"))


def _path(reached: Any) -> Iterator[tuple[str, object]]:
    yield "<str>", str(reached)


STEPS: tuple[tuple[Any, Callable[[Any], Iterator[tuple[str, object]]]], ...] = (
    (types.FunctionType, _function),
    (types.CellType, _cell),
    (types.MethodType, _method),
    (types.FrameType, _frame),
    (types.TracebackType, _traceback),
    (types.GeneratorType, _generator),
    (weakref.ReferenceType, _weak),
    (functools.partial, _partial),
    (PurePath, _path),
    ((dict, types.MappingProxyType), _mapping),
    ((list, tuple, set, frozenset), _sequence),
)
