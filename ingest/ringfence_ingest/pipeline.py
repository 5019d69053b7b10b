"""Run the way from sources to labelled, published documents.

Promise: every document gets a label before it is read for its text, and the
door is asked about that label before anything is written under it. One bad
file is one line of the summary, never the end of the run. Published documents
stay whatever happens next, so a run that was killed goes on where it stopped
when it is started again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from ringfence_governance.drafts import LabelChoice
from ringfence_governance.errors import InvalidInput
from ringfence_governance.subjects import Subject
from ringfence_governance.terms import terms

from .documents import Source
from .door_protocol import Door
from .drafting import Drafter
from .embedders import Embedder
from .limits import BYTES_MAX, PUBLISH_EVERY
from .parser_process import ParserProcess
from .posix_labels import SystemAccounts
from .progress import OnProgress
from .source_run import RunSettings, SourceRun
from .summary import Summary, Tally
from .text_encoding import checked_encoding


def ingest(
    door: Door,
    subject: Subject,
    sources: Sequence[Source],
    *,
    embedder: Embedder,
    label: LabelChoice | None = None,
    trust_other: bool = False,
    remove_vanished: bool = False,
    dry_run: bool = False,
    publish_every: int = PUBLISH_EVERY,
    bytes_max: int = BYTES_MAX,
    encoding: str | None = None,
    language: str = "english",
    on_progress: OnProgress | None = None,
) -> Summary:
    """Ingest everything the sources have, as `subject`.

    Args:
        door: The store's door.
        subject: Who ingests; owner of what nothing else labels.
        sources: Read one after the other.
        embedder: Turns text into vectors; the store refuses another model than its own.
        label: The label of every document that has none of its own; None: each source says.
        trust_other: Let `other` of file modes mean everybody in tenant `local`.
        remove_vanished: Remove what the source has no more, if all of it could be listed.
        dry_run: Write nothing; the counts say what would be done, `planned` says it for each document.
        publish_every: Documents between two publications, from 1.
        bytes_max: Largest file that is read.
        encoding: What text files without a mark are encoded in; None means UTF-8.
        language: Whose word forms are folded in the text index; 'none' for none.
        on_progress: Called after each item.

    Returns:
        Counts, and one report for each file that was not ingested as asked.

    Raises:
        InvalidInput: A parameter is malformed. Nothing was read.
        Refused: The subject may not ingest here.
        StoreError: The store cannot be used. What was published stays.
    """
    if publish_every < 1 or bytes_max < 1:
        raise InvalidInput(
            f"ingest: found publish_every {publish_every}, bytes_max {bytes_max}; expected both from 1"
        )
    terms("", language)
    settings = RunSettings(
        subject, label, SystemAccounts(), trust_other, remove_vanished, dry_run, publish_every, bytes_max
    )
    started = time.monotonic()
    tally = Tally()
    with ParserProcess() as parser:
        drafter = Drafter(parser, embedder, checked_encoding(encoding), language)
        for number, source in enumerate(sources, 1):
            with door.ingestion(
                subject, source.identity, embedder.model, pipeline=drafter.pipeline, dry_run=dry_run
            ) as ingestion:
                run = SourceRun(source, ingestion, drafter, settings, tally)
                run.report_to(on_progress, number, len(sources))
                run.all_items()
                run.vanished()
    return tally.summary(dry_run=dry_run, seconds=time.monotonic() - started)
