"""Put the best passages into another order, by a model that reads question and passage together.

Promise: a reranker is shown a passage only once the record that names it is
durable. It is asked about one passage at a time, so no other passage moves a
score; what it is asked follows from the reader's own rows. One that fails is
an error, and no other order is given instead.

Source: docs/decisions/0021-reranking.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ringfence_governance import stopping
from ringfence_governance.block_opening import Passage
from ringfence_governance.errors import InvalidInput
from ringfence_governance.segments import binary_ids

from .errors import RerankerFailed, RerankerUnavailable
from .ranking import ranked

TOP_MAX = 200
"""How many passages are reranked at most: each is run through a model by itself."""
NAME_CHARACTERS_MAX = 200


class Reranker(Protocol):
    """What says how well a passage answers a question."""

    @property
    def name(self) -> str:
        """Which model this is, of 1 to 200 characters; stands in plans, records and cursors."""

    def score(self, question: str, text: str) -> float:
        """Return how well a passage answers a question; larger is better, finite.

        It must follow from the two texts alone, bit for bit, and not from what was asked before.
        """


@dataclass(frozen=True, slots=True)
class Reranking:
    """That the best passages are to be put into another order.

    Args:
        reranker: By whom.
        top: How many of the best, 1 to 200; those behind them are not among the hits.

    Raises:
        InvalidInput: One of them is not as said.
    """

    reranker: Reranker
    top: int

    def __post_init__(self) -> None:
        if type(self.top) is not int or not 1 <= self.top <= TOP_MAX:
            raise InvalidInput(f"rerank: found {self.top!r}; expected an integer from 1 to {TOP_MAX}")
        name: object = getattr(self.reranker, "name", None)
        if type(name) is not str or not 1 <= len(name) <= NAME_CHARACTERS_MAX or not name.isprintable():
            raise InvalidInput(
                f"reranker: found the name {name!r}; expected 1 to {NAME_CHARACTERS_MAX} characters that print"
            )

    @property
    def name(self) -> str:
        """Which model it is."""
        return self.reranker.name


def reranking(top: int | None, opened: Callable[[], Reranker | None] | None) -> Reranking | None:
    """Return how hits are reranked; None if that is not asked for.

    Args:
        top: As of a :class:`Reranking`; None for not at all.
        opened: Gives the store's reranker, or None if it has none.

    Raises:
        InvalidInput: `top` is not as said.
        RerankerUnavailable: There is no reranker, or it cannot be opened.
    """
    if top is None:
        return None
    reranker = None if opened is None else opened()
    if reranker is None:
        raise RerankerUnavailable(
            f"rerank: found {top!r}, but no reranker was given when the store was opened; expected one",
            hint="ringfence.open(path, reranker=FOLDER), or --reranker FOLDER on the command line",
        )
    return Reranking(reranker, top)


def reordered(
    asked: Reranking, question: str, passages: Sequence[Passage]
) -> tuple[list[Passage], list[float]]:
    """Return passages by falling score of the reranker, equal scores by id, and their scores.

    Raises:
        RerankerFailed: It gave no score for one of them.
    """
    if not passages:
        return [], []
    scores = np.fromiter((_score(asked, question, each.text) for each in passages), np.float64, len(passages))
    order = ranked(scores, binary_ids([each.chunk_id for each in passages])).tolist()
    return [passages[place] for place in order], scores[order].tolist()


def _score(asked: Reranking, question: str, text: str) -> float:
    stopping.check()
    try:
        # Whatever a model calls is none of this read's time: a write that it began is not to be stopped half-way.
        with stopping.within(None):
            found = float(asked.reranker.score(question, text))
    except Exception as error:  # noqa: BLE001  (a model's own error may be any)
        # Not what it says: that may be of the passage.
        raise RerankerFailed(
            f"reranker {asked.name!r}: found {type(error).__name__}; expected a score; nothing left",
            hint="ask without rerank, or mend the model",
        ) from None
    if not math.isfinite(found):
        raise RerankerFailed(
            f"reranker {asked.name!r}: found {found!r} for a passage; expected a finite number; nothing left",
            hint="ask without rerank, or mend the model",
        )
    return found
