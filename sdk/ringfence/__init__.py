"""Governed retrieval and lineage, enforced down to the vectors.

::

    store = ringfence.open("./team", policy="examples/acme/policy")
    store.ingest("./files", as_user="acme/user:ingester")
    reader = store.as_user("acme/user:analyst")
    hits = reader.search("what did we offer Meridian?", k=5)
    reader.why(hits[0])

Importing this loads neither LanceDB nor torch; what needs them does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ringfence_governance.errors import (
        AuditUnavailable,
        Cancelled,
        Gone,
        InvalidInput,
        InvalidLabel,
        KeyUnavailable,
        NotReadable,
        PolicyRefused,
        Refused,
        RingfenceError,
        StoreBusy,
        StoreError,
        TimedOut,
        WriteRefused,
    )
    from ringfence_governance.labels import Label
    from ringfence_governance.stopping import CancelToken
    from ringfence_governance.witnesses import Witness
    from ringfence_ingest.documents import Document
    from ringfence_ingest.summary import Summary
    from ringfence_retrieval.contexts import Citation, Context, ContextPassage
    from ringfence_retrieval.errors import RerankerFailed
    from ringfence_retrieval.filters import Filter, field
    from ringfence_retrieval.results import Counts, DocumentList, DocumentText, Explanation, Hit, SearchResult
    from ringfence_retrieval.warming import Warmed

    from .asynchronous import AsyncReader
    from .audit_database import AuditDatabase, AuditRows
    from .reader import Reader
    from .store import Store, audit, create, open  # noqa: A004

__version__ = "0.1.0"

_HOMES = {
    "ringfence_governance.errors": (
        "AuditUnavailable",
        "Cancelled",
        "Gone",
        "InvalidInput",
        "InvalidLabel",
        "KeyUnavailable",
        "NotReadable",
        "PolicyRefused",
        "Refused",
        "RingfenceError",
        "StoreBusy",
        "StoreError",
        "TimedOut",
        "WriteRefused",
    ),
    "ringfence_governance.labels": ("Label",),
    "ringfence_governance.stopping": ("CancelToken",),
    "ringfence_governance.witnesses": ("Witness",),
    "ringfence_ingest.documents": ("Document",),
    "ringfence_ingest.summary": ("Summary",),
    "ringfence_retrieval.errors": ("RerankerFailed",),
    "ringfence_retrieval.filters": ("Filter", "field"),
    "ringfence_retrieval.contexts": ("Citation", "Context", "ContextPassage"),
    "ringfence_retrieval.results": (
        "Counts",
        "DocumentList",
        "DocumentText",
        "Explanation",
        "Hit",
        "SearchResult",
    ),
    "ringfence_retrieval.warming": ("Warmed",),
    "ringfence.asynchronous": ("AsyncReader",),
    "ringfence.audit_database": ("AuditDatabase", "AuditRows"),
    "ringfence.reader": ("Reader",),
    "ringfence.store": ("Store", "audit", "create", "open"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AsyncReader",
    "AuditDatabase",
    "AuditRows",
    "AuditUnavailable",
    "CancelToken",
    "Cancelled",
    "Citation",
    "Context",
    "ContextPassage",
    "Counts",
    "Document",
    "DocumentList",
    "DocumentText",
    "Explanation",
    "Filter",
    "Gone",
    "Hit",
    "InvalidInput",
    "InvalidLabel",
    "KeyUnavailable",
    "Label",
    "NotReadable",
    "PolicyRefused",
    "Reader",
    "Refused",
    "RerankerFailed",
    "RingfenceError",
    "SearchResult",
    "Store",
    "StoreBusy",
    "StoreError",
    "Summary",
    "TimedOut",
    "Warmed",
    "Witness",
    "WriteRefused",
    "__version__",
    "audit",
    "create",
    "field",
    "open",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'ringfence' has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
