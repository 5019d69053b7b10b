"""Vectors to search in: made ones in clusters, and real ones of a model over text that is on every machine.

Promise: the made ones follow from the seed and the size alone. The real ones are of the docstrings of Python's own
library and of the packages Ringfence needs, so that nothing is fetched.
"""

from __future__ import annotations

import ast
import hashlib
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .question_sets import SEED, SHARES, QuestionSet, Vectors, made

DIMENSIONS = 384
CLUSTERS = 2000
NOISE = 0.7
ASKED = 4000
REAL_SHARES = (0.1, 1.0, 10.0, 50.0, 100.0)
"""Fewer, since of so few rows a smaller share would be none, and what they show is how far the made ones carry."""
REAL_CLUSTERS = 120
TEXT_CHARACTERS = (120, 500)
PACKAGES = (
    "lancedb",
    "lance",
    "numpy",
    "pyarrow",
    "sqlalchemy",
    "transformers",
    "torch",
    "sentence_transformers",
)


def synthetic(rows: int, shares: Sequence[float] = SHARES) -> QuestionSet:
    """Return vectors in clusters of unequal size, with a spectrum that falls as those of text models do."""
    dice = np.random.default_rng(SEED + 1)
    clusters = min(CLUSTERS, max(8, rows // 25))
    falling = (np.arange(1, DIMENSIONS + 1) ** -0.35).astype(np.float32)
    centres = dice.standard_normal((clusters, DIMENSIONS), np.float32) * falling
    weights = np.arange(1, clusters + 1) ** -0.5
    weights /= weights.sum()

    def drawn(count: int) -> tuple[Vectors, npt.NDArray[np.int64]]:
        of = dice.choice(clusters, count, p=weights)
        found = centres[of]
        for start in range(0, count, 100_000):
            here = found[start : start + 100_000]
            here += NOISE * falling * dice.standard_normal(here.shape, np.float32)
            here /= np.linalg.norm(here, axis=1, keepdims=True)
        return found, of

    vectors, of = drawn(rows)
    asked, asked_of = drawn(ASKED)
    return made(vectors, of, {"vectors": asked, "clusters": asked_of}, shares)


@dataclass(frozen=True, slots=True)
class Docstrings:
    """Texts and their vectors.

    Args:
        texts: Of the rows.
        vectors: float32 of shape (rows, d), rows of length 1.
        asked: Other texts, to ask for.
        asked_vectors: Theirs.
    """

    texts: Sequence[str]
    vectors: Vectors
    asked: Sequence[str]
    asked_vectors: Vectors


def docstrings(rows: int, cache: Path) -> Docstrings | None:
    """Return docstrings with their vectors of all-MiniLM-L6-v2; None without the model.

    Args:
        cache: The vectors are kept there: embedding takes longer than all that is measured with them.
    """
    texts = _texts(rows + rows // 5)
    digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
    kept = cache / f"minilm-{len(texts)}-{digest}.npy"
    if not kept.exists():
        vectors = _embedded(texts)
        if vectors is None:
            return None
        cache.mkdir(parents=True, exist_ok=True)
        np.save(kept, vectors)
    vectors = np.load(kept)
    rows = min(rows, len(vectors) * 5 // 6)
    return Docstrings(texts[:rows], vectors[:rows], texts[rows:], vectors[rows:])


def real(found: Docstrings) -> QuestionSet:
    """Return the vectors of docstrings, in clusters that k-means finds."""
    centres = _centres(found.vectors)
    of, asked_of = (np.argmax(each @ centres.T, axis=1) for each in (found.vectors, found.asked_vectors))
    return made(found.vectors, of, {"vectors": found.asked_vectors, "clusters": asked_of}, REAL_SHARES)


def _embedded(texts: list[str]) -> Vectors | None:
    # Only here, since loading the model takes seconds.
    from ringfence_ingest.embedders import open_embedder
    from ringfence_ingest.errors import EmbedderUnavailable

    try:
        embedder = open_embedder("minilm")
    except EmbedderUnavailable:
        return None
    # Texts of like length in one batch: less padding.
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    vectors = np.empty((len(texts), DIMENSIONS), np.float32)
    for start in range(0, len(order), 256):
        places = order[start : start + 256]
        vectors[places] = embedder.embed([texts[place] for place in places])
    return vectors


def _texts(count: int) -> list[str]:
    """Return so many different docstrings, in an order that does not go by package."""
    found: dict[str, None] = {}
    for file in _sources():
        for text in _docstrings(file):
            low, high = TEXT_CHARACTERS
            if len(text) >= low:
                found.setdefault(text[:high])
        if len(found) > 3 * count:
            break
    texts = sorted(found)
    return [texts[place] for place in np.random.default_rng(SEED).permutation(len(texts))[:count]]


def _sources() -> Iterator[Path]:
    paths = sysconfig.get_paths()
    library, packages = Path(paths["stdlib"]), Path(paths["purelib"])
    yield from sorted(file for file in library.rglob("*.py") if packages not in file.parents)
    for name in PACKAGES:
        for place in _places(name):
            yield from sorted(place.rglob("*.py"))


def _places(name: str) -> list[Path]:
    from importlib.util import find_spec

    found = find_spec(name)
    return [Path(each) for each in (found.submodule_search_locations or [])] if found else []


def _docstrings(file: Path) -> Iterator[str]:
    try:
        tree = ast.parse(file.read_text("utf-8"))
    except (SyntaxError, UnicodeDecodeError, ValueError):
        # Python's own tests hold files that are no source.
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef | ast.Module):
            text = ast.get_docstring(node)
            if text:
                yield " ".join(text.split())


def _centres(vectors: Vectors) -> Vectors:
    """Return centres of length 1 by a few rounds of k-means."""
    dice = np.random.default_rng(SEED)
    centres = vectors[dice.choice(len(vectors), min(REAL_CLUSTERS, len(vectors) // 10), replace=False)].copy()
    for _ in range(8):
        of = np.argmax(vectors @ centres.T, axis=1)
        for number in range(len(centres)):
            own = vectors[of == number]
            if len(own):
                mean = own.mean(axis=0)
                centres[number] = mean / np.linalg.norm(mean)
    return centres
