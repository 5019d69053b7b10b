"""What can go wrong while files become documents, as one small tree.

::

    RingfenceError
    ├── InvalidInput             (governance) mend it and call again
    │   ├── SourceRefused        the source itself cannot be opened as asked: nothing was read
    │   ├── LabelFileRefused     a .ringfence.yaml is malformed or could have been planted
    │   └── EmbedderUnavailable  the model is not there, or not the one it should be
    │       └── WeightsChanged   its files are not the pinned ones; nothing was loaded
    └── FileTrouble              this one file was not ingested; the run goes on
        └── FileSkipped          this file holds nothing Ringfence can read; no defect

A message says what was found, what was expected and what to do. It names
paths, sizes and kinds; it never holds a word of a document.
"""

from __future__ import annotations

from ringfence_governance.errors import InvalidInput, RingfenceError


class SourceRefused(InvalidInput):
    """The source cannot be opened as asked. Nothing was read from it."""


class LabelFileRefused(InvalidInput):
    """A `.ringfence.yaml` does not say clearly who may read. What lies beneath it is not ingested."""


class FileTrouble(RingfenceError):
    """One file was not ingested; the run goes on.

    Args:
        found: What was met, without a word of the file's content.
        expected: What Ringfence takes.
        do: What the user can do about it.
    """

    def __init__(self, found: str, expected: str, do: str) -> None:
        self.found = found
        self.expected = expected
        self.do = do
        super().__init__(f"found {found}; expected {expected}; {do}")


class FileSkipped(FileTrouble):
    """One file holds nothing Ringfence can read: empty, or of a kind it does not know."""


class EmbedderUnavailable(InvalidInput):
    """The embedding model cannot be used: a package or a file is missing."""


class WeightsChanged(EmbedderUnavailable):
    """A model's file is not the one that was pinned. Nothing of it was loaded."""
