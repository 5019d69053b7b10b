"""Open the embedder a store needs: the one it was asked for, or the one its vectors were made with.

Promise: without a choice, a question is turned into a vector by the model the
store's own vectors come from; another model is refused by the store.
"""

from __future__ import annotations

from ringfence_governance.errors import StoreError
from ringfence_governance.vector_models import VectorModel
from ringfence_ingest.embedders import DEFAULT_EMBEDDER, Embedder, open_embedder

SHIPPED = {
    "ringfence/hash": "hash",
    "sentence-transformers/all-MiniLM-L6-v2": DEFAULT_EMBEDDER,
}
"""Model id → name of the embedder that ships with Ringfence."""


def opened(chosen: str | Embedder | None, known: VectorModel | None) -> Embedder:
    """Return an open embedder.

    Args:
        chosen: A name, an embedder, or None to go by the store.
        known: The model of the store's vectors; None before its first ingest.

    Raises:
        StoreError: The store's vectors are of a model that has to be named.
        InvalidInput: The embedder cannot be opened; says what is missing.
    """
    if chosen is not None:
        return open_embedder(chosen) if isinstance(chosen, str) else chosen
    if known is None:
        return open_embedder(DEFAULT_EMBEDDER)
    name = SHIPPED.get(known.model_id)
    if name is None:
        raise StoreError(
            f"embedder: the store's vectors are of {known.model_id!r}, which does not ship with ringfence",
            hint="name its folder: embedder=… in Python, --embedder on the command line",
        )
    return open_embedder(name)


def check_model(model: VectorModel, known: VectorModel | None) -> None:
    """Hold the model of a question to that of the store's vectors.

    Raises:
        StoreError: They differ; the scores would mean nothing.
    """
    if known is not None and model != known:
        raise StoreError(
            f"embedder: found {model.model_id!r} (weights {model.weights_sha256[:12]}…); expected the store's own, "
            f"{known.model_id!r} (weights {known.weights_sha256[:12]}…)",
            hint="open the store without naming an embedder, or name the one it was ingested with",
        )
