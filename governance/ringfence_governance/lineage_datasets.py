"""Name what runs read and wrote as OpenLineage's datasets, with the facets that say what it is.

Promise: a dataset's name is an opaque id; its facets hold names of columns,
atoms, keyed digests and fixed sentences of this module.

Source: the OpenLineage specification; docs/lineage.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from .labels import LabelEntry
from .lineage_facets import PRODUCER, Facets, Name, own, plain
from .table_schemas import SCHEMAS

Lifecycle = Literal["CREATE", "OVERWRITE", "ALTER", "DROP"]

DOCUMENT = (
    "A document: its text, its passages, their vectors and words. All content is sealed; the name is opaque."
)
SOURCE = "A place documents were read from; the name is opaque."
POLICY = "The policy of a tenant; the name is opaque."
LABEL = "A named label; the name here is opaque."
TABLE = "A table of the store; the name is opaque."
KEYS = "The wrapped keys of the store."

_FROM_CONTENT = {
    "text": "parsed",
    "metadata": "read beside the content",
    "chunks.text": "parsed, cut",
    "chunks.vector": "parsed, cut, embedded",
    "chunks.terms": "parsed, cut, words folded",
}
"""Column of a document → what was done to its source's content to make it."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a publication does to one document.

    Args:
        document_id: Opaque.
        change: Whether it is new, written anew, only labelled anew, or gone.
        label: The label it has now; None if it is gone.
        parents: Opaque ids of documents and passages it was made from.
    """

    document_id: str
    change: Lifecycle
    label: LabelEntry | None = None
    parents: tuple[str, ...] = ()


def dataset(name: Name, dataset_name: str, facets: Facets | None = None) -> dict[str, Any]:
    """Return a dataset of the store."""
    return {"namespace": name.namespace, "name": dataset_name, **({"facets": facets} if facets else {})}


def described(name: Name, dataset_name: str, sentence: str) -> dict[str, Any]:
    """Return a dataset with one of this module's sentences for its documentation."""
    return dataset(name, dataset_name, {"documentation": _documentation(sentence)})


def documents(
    name: Name, written: Sequence[Written], by_id: Mapping[str, LabelEntry], source_id: str = ""
) -> list[dict[str, Any]]:
    """Return what a publication wrote as datasets.

    Args:
        by_id: The label table, for the parts and owners of compound labels.
        source_id: Where the documents came from; empty if they were there before.
    """
    labels: dict[int, Facets] = {}
    columns: dict[tuple[str, ...], dict[str, Any]] = {}
    found = []
    for each in written:
        facets: Facets = {"lifecycleStateChange": lifecycle_facet(each.change)}
        if each.label is not None:
            if each.label.atom not in labels:
                labels[each.label.atom] = label_facets(name, each.label, by_id)
            facets |= {"schema": _document_schema(), "documentation": _documentation(DOCUMENT)}
            facets |= labels[each.label.atom]
            made_new = each.change in ("CREATE", "OVERWRITE")
            key = (source_id, *each.parents) if made_new else (each.document_id,)
            if key not in columns:
                columns[key] = _from_sources(name, *key) if made_new else _unchanged(name, each.document_id)
            facets["columnLineage"] = columns[key]
        found.append(dataset(name, each.document_id, facets))
    return found


def tables(name: Name, names: Iterable[str]) -> list[dict[str, Any]]:
    """Return tables that were written anew, each column from itself."""
    found = []
    for table in names:
        dataset_name = name.of("table", table)
        fields = SCHEMAS[table].names
        facets = {
            "documentation": _documentation(TABLE),
            "schema": _schema(table),
            "columnLineage": _column_lineage(
                {field: [_input(name, dataset_name, field, "IDENTITY")] for field in fields}
            ),
            "lifecycleStateChange": lifecycle_facet("OVERWRITE"),
        }
        found.append(dataset(name, dataset_name, facets))
    return found


def keys(name: Name) -> list[dict[str, Any]]:
    """Return the keys of the store."""
    return [described(name, name.of("keys", ""), KEYS)]


def label_facets(name: Name, entry: LabelEntry, by_id: Mapping[str, LabelEntry]) -> Facets:
    """Return the facets of a label: the integers that stand for it, and who owns it, as keyed digests."""
    from openlineage.client.facet_v2 import ownership_dataset

    parts = (
        [entry] if entry.definition is not None else [by_id[each] for each in entry.parts if each in by_id]
    )
    owners = sorted({name.principal(each.definition.owner) for each in parts if each.definition is not None})
    named = [ownership_dataset.Owner(owner, "OWNER") for owner in owners]
    ownership = ownership_dataset.OwnershipDatasetFacet(named, producer=PRODUCER)
    return {"ringfence_label": label_facet(entry, by_id), "ownership": plain(ownership)}


def _from_sources(name: Name, source_id: str, *parents: str) -> dict[str, Any]:
    fields = {}
    for column, done in _FROM_CONTENT.items():
        inputs = [_input(name, source_id, "content", "TRANSFORMATION", done)] if source_id else []
        # What was made from others holds what they hold; which words of it, nobody can tell.
        inputs += [
            _input(name, parent, "text", "TRANSFORMATION") for parent in parents if column != "metadata"
        ]
        fields[column] = inputs
    return _column_lineage(fields)


def _unchanged(name: Name, document_id: str) -> dict[str, Any]:
    return _column_lineage(
        {column: [_input(name, document_id, column, "IDENTITY")] for column in _FROM_CONTENT}
    )


def _column_lineage(fields: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    from openlineage.client.facet_v2 import column_lineage_dataset

    facet = column_lineage_dataset.ColumnLineageDatasetFacet({}, producer=PRODUCER)
    return {**plain(facet), "fields": {column: {"inputFields": found} for column, found in fields.items()}}


def _input(name: Name, dataset_name: str, field: str, subtype: str, description: str = "") -> dict[str, Any]:
    transformation = {"type": "DIRECT", "subtype": subtype, "masking": False}
    if description:
        transformation["description"] = description
    return {
        "namespace": name.namespace,
        "name": dataset_name,
        "field": field,
        "transformations": [transformation],
    }


@lru_cache
def _document_schema() -> dict[str, Any]:
    from openlineage.client.facet_v2 import schema_dataset

    fields = [*_fields("documents"), schema_dataset.SchemaDatasetFacetFields("chunks", "array<struct>")]
    fields[-1].fields = _fields("chunks")
    return plain(schema_dataset.SchemaDatasetFacet(fields, producer=PRODUCER))


@lru_cache
def _schema(table: str) -> dict[str, Any]:
    from openlineage.client.facet_v2 import schema_dataset

    return plain(schema_dataset.SchemaDatasetFacet(_fields(table), producer=PRODUCER))


def _fields(table: str) -> list[Any]:
    from openlineage.client.facet_v2 import schema_dataset

    return [
        schema_dataset.SchemaDatasetFacetFields(each.name, str(each.type), fields=None)
        for each in SCHEMAS[table]
    ]


@lru_cache
def _documentation(sentence: str) -> dict[str, Any]:
    from openlineage.client.facet_v2 import documentation_dataset

    return plain(documentation_dataset.DocumentationDatasetFacet(sentence, producer=PRODUCER))


@lru_cache
def lifecycle_facet(change: Lifecycle) -> dict[str, Any]:
    """Return the facet that says what became of a dataset."""
    from openlineage.client.facet_v2 import lifecycle_state_change_dataset as lifecycle

    state = lifecycle.LifecycleStateChange(change)
    return plain(lifecycle.LifecycleStateChangeDatasetFacet(state, producer=PRODUCER))


def label_facet(entry: LabelEntry, by_id: Mapping[str, LabelEntry]) -> dict[str, Any]:
    """Return the facet of a label: the integer it has in storage, and those of its parts if it is compound."""
    parts = sorted(by_id[part].atom for part in entry.parts if part in by_id)
    return own("RingfenceLabelDatasetFacet", atom=entry.atom, parts=parts)
