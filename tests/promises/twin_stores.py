"""Make the twin of a store: what one reader may read of it, with the same ids and keys, and nothing else.

The twin has only his documents, the labels they lie under, and the policy
rows that are about him. Hidden documents, labels, rules, members, runs and
everybody else's reads do not exist in it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from ringfence_governance.labels import NamedLabel
from ringfence_governance.subjects import Subject

from .random_firm import (
    ADMIN,
    INGESTER,
    NAMED,
    REASON,
    STANDING,
    Asker,
    Firm,
    Held,
    admin_of,
    as_label,
    row_of,
)
from .seeded_store import GENERIC_RULES, Clock, Page, SeededStore, bundle


def twin(firm: Firm, asker: Asker, folder: Path) -> SeededStore:
    """Return the store that holds what `asker` may read of the firm's, and nothing else."""
    documents = firm.readable(asker)
    lines, names = kept_lines(firm.lines, asker, {name for each in documents for name in each.parts})
    named = [NamedLabel(name, as_label(firm.labels[name])) for name in NAMED if name in names]
    # Which sets a label is in can lower it later, which needs a right that nobody here has.
    first = [*GENERIC_RULES, *STANDING, *(line for line in lines if line.startswith("g2, "))]
    store = SeededStore.create(
        folder,
        bundle(first, named, generic=False),
        ADMIN,
        seed=firm.store.randomness.seed,
        clock=Clock(firm.now),
    )
    # What was made from a document that he may not read, or that is there no more, came for him from nothing.
    ids = {document.document_id for document in documents}
    for step in sorted({document.step for document in documents}):
        copy_run(firm, store, asker, [document for document in documents if document.step == step], ids)
    # After the documents: some of these rules keep the ingester from writing now, and did not then.
    for line in lines:
        if line not in first:
            assert store.door.add_row(Subject(admin_of(line)), row_of(line), REASON)
    return store


def kept_lines(lines: Iterable[str], asker: Asker, names: set[str]) -> tuple[list[str], set[str]]:
    """Return the rows that are about this reader, and the names of the labels they and his documents need."""
    fields = {line: line.split(", ") for line in lines}
    own = set(asker.chain)
    for _ in fields:
        own |= {parent for kind, child, parent, *_ in fields.values() if kind == "g" and child in own}
    names = names | {row[3] for row in fields.values() if row[0] == "p" and row[1] in own}

    def kept(row: list[str]) -> bool:
        if row[0] == "p":
            return row[1] in own or (row[1] == "*" and ("/label:" not in row[3] or row[3] in names))
        if row[0] == "g2":
            return row[1] in names
        return row[0] == "g3" or row[1] in own

    return [line for line, row in fields.items() if kept(row)], names


def copy_run(
    firm: Firm, store: SeededStore, asker: Asker, documents: list[Held], readable: Collection[str]
) -> None:
    """Write documents of one run again: same source, paths, texts, labels, ids and readable parents."""
    (ingester,) = {document.ingester for document in documents}
    inputs = write_inputs(firm, store, asker, documents)
    purpose = asker.purpose if ingester == INGESTER else ""
    with store.ingestion(ingester, step=documents[0].step, purpose=purpose) as ingestion:
        for document in documents:
            parents = tuple(inputs[part] for part in document.parts if len(document.parts) > 1)
            parents += tuple(each for each in document.parents if each in readable)
            page = Page(document.path, document.text, choice(firm, document.own), parents)
            assert ingestion.put(page.draft()) == document.document_id
    if not inputs:
        return
    with store.ingestion(INGESTER, source_name="inputs", step=-2 * documents[0].step) as ingestion:
        for part in inputs:
            assert ingestion.remove(f"{part.partition('/')[2]}.txt")


def write_inputs(firm: Firm, store: SeededStore, asker: Asker, documents: list[Held]) -> dict[str, str]:
    """Write what compound labels are made from, for as long as they are made: part -> document id."""
    parts = sorted({part for document in documents if len(document.parts) > 1 for part in document.parts})
    if not parts:
        return {}
    step = -2 * documents[0].step - 1
    with store.ingestion(INGESTER, source_name="inputs", step=step, purpose=asker.purpose) as ingestion:
        return {
            part: ingestion.put(
                Page(f"{part.partition('/')[2]}.txt", f"made into more: {part}", choice(firm, part)).draft()
            )
            for part in parts
        }


def choice(firm: Firm, label_id: str):  # type: ignore[no-untyped-def]
    return as_label(firm.labels[label_id]) if "~" in label_id else label_id
