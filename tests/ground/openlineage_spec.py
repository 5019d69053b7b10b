"""What the OpenLineage specification asks of an event, written down as JSON schemas of our own.

Source: the specification's text at openlineage.io/spec, version 2-0-2 of the core model, and the versions of the
facets named below. Stricter than the specification in one thing: a facet this page does not name is an error.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource

SPEC = "https://openlineage.io/spec"
CORE = f"{SPEC}/2-0-2/OpenLineage.json"
OURS = Path(__file__).parents[2] / "docs" / "schemas" / "openlineage" / "1-0-0"

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
URI: Schema = {"type": "string", "format": "uri", "pattern": "^[a-z]+://"}
TIME: Schema = {
    "type": "string",
    "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$",
}
UUID: Schema = {"type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}
STATES = ("START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER")


def thing(required: tuple[str, ...], **properties: Schema) -> Schema:
    """An object with these properties, of which some must be there."""
    return {"type": "object", "properties": properties, "required": list(required)}


def many(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def of_core(name: str) -> Schema:
    return {"$ref": f"{CORE}#/$defs/{name}"}


def facet(required: tuple[str, ...], **properties: Schema) -> Schema:
    """A facet: its own properties, and who produced it by which schema."""
    return {"allOf": [of_core("BaseFacet"), thing(required, **properties)]}


_INPUT_FIELD = thing(
    ("namespace", "name", "field"),
    namespace=TEXT,
    name=TEXT,
    field=TEXT,
    transformations=many(
        thing(
            ("type",),
            type={"enum": ["DIRECT", "INDIRECT"]},
            subtype=TEXT,
            description=TEXT,
            masking={"type": "boolean"},
        )
    ),
)
_FIELD = thing(
    ("name",),
    name=TEXT,
    type=TEXT,
    description=TEXT,
    ordinal_position={"type": "integer"},
    fields=many({"type": "object"}),
)
_NAMED = thing(("namespace", "name"), namespace=TEXT, name=TEXT)
_OWNERS = facet((), owners=many(thing(("name",), name=TEXT, type=TEXT)))

FACETS: dict[str, tuple[str, str, Schema]] = {
    "nominalTime": (
        "run",
        "1-0-1/NominalTimeRunFacet",
        facet(("nominalStartTime",), nominalStartTime=TIME, nominalEndTime=TIME),
    ),
    "parent": (
        "run",
        "1-2-0/ParentRunFacet",
        facet(("run", "job"), run=thing(("runId",), runId=UUID), job=_NAMED),
    ),
    "errorMessage": (
        "run",
        "1-0-1/ErrorMessageRunFacet",
        facet(("message", "programmingLanguage"), message=TEXT, programmingLanguage=TEXT, stackTrace=TEXT),
    ),
    "processing_engine": (
        "run",
        "1-1-1/ProcessingEngineRunFacet",
        facet(("version",), version=TEXT, name=TEXT, openlineageAdapterVersion=TEXT),
    ),
    "documentation of a job": (
        "job",
        "1-1-0/DocumentationJobFacet",
        facet(("description",), description=TEXT, contentType=TEXT),
    ),
    "jobType": (
        "job",
        "2-0-4/JobTypeJobFacet",
        facet(("processingType", "integration"), processingType=TEXT, integration=TEXT, jobType=TEXT),
    ),
    "ownership of a job": ("job", "1-0-1/OwnershipJobFacet", _OWNERS),
    "documentation": (
        "dataset",
        "1-1-0/DocumentationDatasetFacet",
        facet(("description",), description=TEXT, contentType=TEXT),
    ),
    "ownership": ("dataset", "1-0-1/OwnershipDatasetFacet", _OWNERS),
    "schema": ("dataset", "1-2-0/SchemaDatasetFacet", facet((), fields=many(_FIELD))),
    "columnLineage": (
        "dataset",
        "1-2-0/ColumnLineageDatasetFacet",
        facet(
            ("fields",),
            fields={
                "type": "object",
                "additionalProperties": thing(("inputFields",), inputFields=many(_INPUT_FIELD)),
            },
            dataset=many(_INPUT_FIELD),
        ),
    ),
    "lifecycleStateChange": (
        "dataset",
        "1-0-1/LifecycleStateChangeDatasetFacet",
        facet(
            ("lifecycleStateChange",),
            lifecycleStateChange={"enum": ["ALTER", "CREATE", "DROP", "OVERWRITE", "RENAME", "TRUNCATE"]},
            previousIdentifier=_NAMED,
        ),
    ),
}
"""Facet → what it is of, the version of its schema, and what it asks."""

OUR_FACETS = {
    "ringfence_event": ("run", "RingfenceEventRunFacet"),
    "ringfence_policy": ("run", "RingfencePolicyRunFacet"),
    "ringfence_publication": ("run", "RingfencePublicationRunFacet"),
    "ringfence_stages": ("run", "RingfenceStagesRunFacet"),
    "ringfence_label": ("dataset", "RingfenceLabelDatasetFacet"),
}
OUR_SCHEMAS = {file.stem: json.loads(file.read_text("utf-8")) for file in sorted(OURS.glob("*.json"))}


def _facets(of: str) -> Schema:
    """The facets that a run, job or dataset may have, each with the schema it says it has."""
    known: dict[str, Schema] = {
        name.partition(" of ")[0]: {
            "allOf": [schema, {"properties": {"_schemaURL": {"const": _url(version)}}}]
        }
        for name, (kind, version, schema) in FACETS.items()
        if kind == of
    }
    for name, (kind, schema_name) in OUR_FACETS.items():
        if kind == of:
            known[name] = {"$ref": f"{OUR_SCHEMAS[schema_name]['$id']}#/$defs/{schema_name}"}
    return {"type": "object", "properties": known, "additionalProperties": False}


def _url(version: str) -> str:
    return f"{SPEC}/facets/{version}.json#/$defs/{version.partition('/')[2]}"


_BASE = thing(("_producer", "_schemaURL"), _producer=URI, _schemaURL=URI)
_DATASET = thing(("namespace", "name"), namespace=TEXT, name=TEXT, facets=_facets("dataset"))

_CORE: Schema = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": CORE,
    "$defs": {
        "BaseFacet": _BASE,
        "RunFacet": {"$ref": "#/$defs/BaseFacet"},
        "DatasetFacet": {
            "allOf": [{"$ref": "#/$defs/BaseFacet"}, {"properties": {"_deleted": {"type": "boolean"}}}]
        },
        "RunEvent": thing(
            ("eventTime", "producer", "schemaURL", "run", "job"),
            eventTime=TIME,
            producer=URI,
            schemaURL={"const": f"{CORE}#/$defs/RunEvent"},
            eventType={"enum": list(STATES)},
            run=thing(("runId",), runId=UUID, facets=_facets("run")),
            job=thing(("namespace", "name"), namespace=TEXT, name=TEXT, facets=_facets("job")),
            inputs=many(_DATASET),
            outputs=many(_DATASET),
        ),
    },
    "$ref": "#/$defs/RunEvent",
}

_REGISTRY: Registry[Any] = Registry().with_resources(
    [
        (CORE, Resource.from_contents(_CORE)),
        *((schema["$id"], Resource.from_contents(schema)) for schema in OUR_SCHEMAS.values()),
    ]
)
EVENT = Draft202012Validator(_CORE, registry=_REGISTRY, format_checker=FormatChecker())


def wrong_with(event: Any) -> list[str]:
    """Return what an event does that the specification, or one of our own schemas, does not allow."""
    return [f"{'/'.join(map(str, each.absolute_path))}: {each.message}" for each in EVENT.iter_errors(event)]
