"""Say in OpenLineage's facets what a run did, in opaque names only.

Promise: a facet holds opaque ids, numbers, times, keyed digests, names of
columns and fixed sentences of this module; no content, path, title, label
name or principal. The one exception has a name that says so:
:data:`CLEAR_PRINCIPALS`.

Source: the OpenLineage specification; docs/lineage.md; DESIGN.md §8.
"""

from __future__ import annotations

import importlib.metadata
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from .ambient import software_version
from .catalog import Catalog
from .errors import InvalidInput

if TYPE_CHECKING:
    from openlineage.client.generated.base import BaseFacet

PRODUCER = "https://ringfence.invalid/producer/0.1"
OWN_SCHEMAS = "https://ringfence.invalid/schemas/openlineage/1-0-0"
"""Where `_schemaURL` of our own facets points; the files are docs/schemas/openlineage/1-0-0/*.json."""
CLEAR_PRINCIPALS = "RINGFENCE_LINEAGE_CLEAR_PRINCIPALS"
"""Set to `1`, this environment variable lets ownership facets name principals in clear."""
PARENT = "OPENLINEAGE_PARENT_ID"
"""`NAMESPACE/JOB/RUN`, as OpenLineage's integrations hand it on: the run that started this one."""
DIGITS = 32

Facets = dict[str, dict[str, Any]]

JOBS: Mapping[str, str] = {
    "ingest": "Writes the documents of one source: parsed, cut into passages, embedded, labelled, sealed.",
    "relabel": "Gives a document, and all that was made from it, another label.",
    "erase": "Erases documents, and all that was made from them, from every row, version and key.",
    "compact": "Writes the tables anew, rows of one label together.",
    "answer": "Keeps an answer as a document made from the passages it was written from.",
    "keys_rotate": "Wraps every key anew under a new master key.",
    "row_added": "Adds one row to the policy.",
    "row_removed": "Removes one row from the policy.",
    "define_label": "Defines a named label.",
    "redefine_label": "Gives a named label another meaning.",
    "expire_label": "Ends a named label's validity.",
    "policy_apply": "Makes the policy what files say.",
}
"""Every job that tells of its runs, with what its documentation facet says."""


@dataclass(frozen=True, slots=True)
class Name:
    """Opaque names for what has none, and for who must not be named.

    Args:
        catalog: Whose key makes the digests.
    """

    catalog: Catalog

    @property
    def namespace(self) -> str:
        """The namespace of every job and dataset of the store."""
        return f"ringfence://{self.catalog.store_id}"

    def of(self, kind: str, name: str) -> str:
        """Return a keyed digest, 32 hexadecimal digits, for a policy, label or table."""
        return self.catalog.digest("lineage", kind, name)[:DIGITS]

    def principal(self, principal: str) -> str:
        """Return a keyed digest, or the principal himself if that was asked for by name."""
        if os.environ.get(CLEAR_PRINCIPALS) == "1":
            return principal
        return f"principal:{self.of('principal', principal)}"


def own(name: str, **fields: Any) -> dict[str, Any]:
    """Return a facet of ours; its schema is docs/schemas/openlineage/1-0-0/NAME.json."""
    url = f"{OWN_SCHEMAS}/{name}.json#/$defs/{name}"
    return {"_producer": PRODUCER, "_schemaURL": url, **fields}


def event_facet(event_id: str) -> dict[str, Any]:
    """Return the facet that names an event: one that comes twice is the same one."""
    return own("RingfenceEventRunFacet", id=event_id)


def policy_facet(name: Name, revision: str, number: int) -> dict[str, Any]:
    """Return the facet of the policy that stands: a keyed digest, and the number of its newest journal row."""
    return own("RingfencePolicyRunFacet", revision=name.of("policy revision", revision), number=number)


def publication_facet(sequence: int, versions: Mapping[str, int]) -> dict[str, Any]:
    """Return the facet of a publication: its catalog number, and each table's version."""
    return own("RingfencePublicationRunFacet", sequence=sequence, versions=dict(sorted(versions.items())))


def stages_facet(stages: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the facet of an ingest's stages, in order, each with the version of what carries it out."""
    return own("RingfenceStagesRunFacet", stages=[{"name": name, "version": each} for name, each in stages])


def run_facets(started_at: str, ended_at: str | None = None, error: BaseException | None = None) -> Facets:
    """Return the standard facets of a run.

    Args:
        error: Named by its class alone: a message may hold what was being read.
    """
    from openlineage.client import facet_v2

    facets = {
        "nominalTime": facet_v2.nominal_time_run.NominalTimeRunFacet(started_at, ended_at, producer=PRODUCER),
        "processing_engine": _engine(),
    }
    if error is not None:
        facets["errorMessage"] = facet_v2.error_message_run.ErrorMessageRunFacet(
            type(error).__name__, "PYTHON", producer=PRODUCER
        )
    return {name: plain(facet) for name, facet in facets.items()}


def job_facets(name: Name, job: str, chain: Sequence[str] = ()) -> Facets:
    """Return the facets of a job: what it does, and who started it, the person first."""
    from openlineage.client import facet_v2

    facets: dict[str, BaseFacet] = {
        "documentation": facet_v2.documentation_job.DocumentationJobFacet(JOBS[job], producer=PRODUCER),
        "jobType": facet_v2.job_type_job.JobTypeJobFacet("BATCH", "RINGFENCE", "JOB", producer=PRODUCER),
    }
    if chain:
        owners = [
            facet_v2.ownership_job.Owner(name.principal(actor), "STARTED_BY" if place == 0 else "CARRIED_BY")
            for place, actor in enumerate(chain)
        ]
        facets["ownership"] = facet_v2.ownership_job.OwnershipJobFacet(owners, producer=PRODUCER)
    return {key: plain(facet) for key, facet in facets.items()}


@cache
def _engine() -> BaseFacet:
    from openlineage.client.facet_v2 import processing_engine_run

    client = importlib.metadata.version("openlineage-python")
    return processing_engine_run.ProcessingEngineRunFacet(
        software_version(), "ringfence", client, producer=PRODUCER
    )


def parent() -> tuple[str, str, str] | None:
    """Return namespace, job and run of what started this process, if the environment says so; else None.

    Raises:
        InvalidInput: It says so in another form.
    """
    found = os.environ.get(PARENT, "")
    if not found:
        return None
    namespace, _, rest = found.partition("/") if "://" not in found else _after_scheme(found)
    job, _, run = rest.rpartition("/")
    try:
        if not (namespace and job):
            raise ValueError
        return namespace, job, str(uuid.UUID(run))
    except ValueError:
        raise InvalidInput(f"{PARENT}: found another form; expected NAMESPACE/JOB/RUN, with a UUID") from None


def parent_facets() -> Facets:
    """Return the facet of the run that started this process: of every event of a run, or of none."""
    from openlineage.client.facet_v2 import parent_run

    # One that is malformed stops no run: `status` says so.
    with suppress(InvalidInput):
        if (found := parent()) is not None:
            namespace, job, run = found
            facet = parent_run.ParentRunFacet(
                run=parent_run.Run(run), job=parent_run.Job(namespace, job), producer=PRODUCER
            )
            return {"parent": plain(facet)}
    return {}


def _after_scheme(found: str) -> tuple[str, str, str]:
    scheme, _, rest = found.partition("://")
    host, slash, rest = rest.partition("/")
    return f"{scheme}://{host}", slash, rest


def plain(facet: BaseFacet) -> dict[str, Any]:
    """Return a facet of the client's as JSON-ready values."""
    from openlineage.client.serde import Serde

    return Serde.to_dict(facet)
