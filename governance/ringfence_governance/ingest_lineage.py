"""Say what a run of ingest tells of lineage: its source, its stages, and what each publication holds.

Promise: the source and the documents are told by their ids alone; the stages
by name and version.
"""

from __future__ import annotations

from typing import Any

from . import lineage_datasets, lineage_facets, runs
from .ambient import software_version
from .ground import Ground
from .leases import WriterLease
from .lineage_facets import Facets
from .subjects import Subject
from .vector_models import VectorModel
from .write_batch import WriteBatch

JOB = "ingest"


def read_from(ground: Ground, source_id: str) -> list[dict[str, Any]]:
    """Return the source of a run as a dataset."""
    return [lineage_datasets.described(ground.lineage.name, source_id, lineage_datasets.SOURCE)]


def start(
    ground: Ground,
    lease: WriterLease,
    subject: Subject,
    run_id: str,
    source_id: str,
    pipeline: str,
    model: VectorModel,
) -> None:
    """Begin a run of ingest. See :func:`runs.start`.

    Args:
        pipeline: Version of everything that turns bytes into chunks.
    """
    detail, inputs = {"source": source_id}, read_from(ground, source_id)
    runs.start(ground, lease, subject, run_id, JOB, detail, inputs, stages(pipeline, model))


def stages(pipeline: str, model: VectorModel) -> Facets:
    """Return the facet that says what each document goes through, each stage with its version.

    Args:
        pipeline: Version of everything that turns bytes into chunks.
    """
    # A model that was loaded from a folder may be called by its path.
    embedder = f"sha256:{model.weights_sha256} dimensions:{model.dimensions}"
    done = (("read, parse, cut", pipeline), ("embed", embedder), ("label, seal, publish", software_version()))
    return {"ringfence_stages": lineage_facets.stages_facet(done)}


def written(
    ground: Ground, batch: WriteBatch, source_id: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return what a publication writes, and what it was made from, as datasets."""
    documents = batch.written()
    name, by_id = ground.lineage.name, ground.moment().table.by_id
    parents = sorted({parent for each in documents for parent in each.parents})
    inputs = [*read_from(ground, source_id), *(lineage_datasets.dataset(name, parent) for parent in parents)]
    return lineage_datasets.documents(name, documents, by_id, source_id), inputs
