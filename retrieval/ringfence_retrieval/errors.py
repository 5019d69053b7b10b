"""What can go wrong in retrieval besides what governance refuses, as one small tree.

::

    RingfenceError               (governance)
    ├── InvalidInput
    │   └── RerankerUnavailable  the model is not there: mend the call
    └── RerankerFailed           the model gave no score for a passage: nothing left

A message holds no word of a passage, and nothing a reranker said.
"""

from __future__ import annotations

from ringfence_governance.errors import InvalidInput, RingfenceError


class RerankerUnavailable(InvalidInput):
    """The reranking model cannot be used: there is none, or a package or a file is missing."""


class RerankerFailed(RingfenceError):
    """The reranking model raised an error, or gave something that is no finite number. Nothing left."""
