"""Hold the label that a row says it has to the key of its document, which is wrapped for one label alone.

Promise: where a label is judged or handed on and nothing is opened, it is the one the key is wrapped for: who can
write the store's files and not the folder of keys gives no document another label.
"""

from __future__ import annotations

from collections.abc import Iterable

from .errors import StoreCorrupt
from .ground import Ground


def refuse_other(ground: Ground, standing: Iterable[tuple[str, int]]) -> None:
    """Refuse documents that stand under another label than their keys are wrapped for.

    One that has no key at all opens for nobody, and passes. To be asked while nobody else writes: a writer wraps
    a key before it publishes, and forgets the former wrap afterwards.

    Args:
        standing: (document id, atom) of rows.

    Raises:
        StoreCorrupt: There is one. Change nothing.
    """
    wanted = set(standing)
    keys = ground.keys.wraps_of({each for each, _ in wanted})
    wrapped = {(key.document_id, key.atom) for key in keys if key.stands}
    keyed = {document for document, _ in wrapped}
    if any(document in keyed for document, _ in wanted - wrapped):
        raise StoreCorrupt(
            "a document stands under another label than its key is wrapped for; nothing was changed",
            hint="somebody changed the store's files; put back a copy of them, and look who could write there",
        )
