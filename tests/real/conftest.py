"""Real corpora for these tests: fetched once, measured as they are used.

Nothing here is skipped: what is missing on the machine fails the test and says what to install.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .corpus_fetch import CorpusMissing, kernel_docs, spam_assassin
from .measured import Measured

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "real"


@pytest.fixture(scope="session")
def mail_folder() -> Path:
    """The unpacked mails: one folder for each group of the corpus."""
    try:
        return spam_assassin(CACHE)
    except CorpusMissing as missing:
        pytest.fail(str(missing), pytrace=False)


@pytest.fixture(scope="session")
def kernel_folder() -> Path:
    """The unpacked documentation package of the kernel."""
    try:
        return kernel_docs(CACHE)
    except CorpusMissing as missing:
        pytest.fail(str(missing), pytrace=False)


@pytest.fixture(scope="module")
def measured(request: pytest.FixtureRequest) -> Iterator[Measured]:
    """What this module counts and times; written for docs/real-input.md when its tests are over."""
    name = request.path.stem.removeprefix("test_")
    numbers = Measured(CACHE / "results" / f"{name}.json")
    yield numbers
    numbers.write(complete=not request.session.testsfailed)
