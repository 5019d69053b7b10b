"""What the shipped policy says: the Casbin model, the default rules, sample policies, the tests of each.

Promise: data only. Nothing here decides, reads a store, or imports another
part of Ringfence; who reads these files parses them strictly.
"""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable

__all__ = ["default_policy", "model_text", "sample"]


def model_text() -> str:
    """Return the Casbin model every store decides with, as shipped."""
    return files(__name__).joinpath("model.conf").read_text(encoding="utf-8")


def default_policy() -> bytes:
    """Return the rows of the default `policy.csv`: owners read, readers read, denied are denied."""
    return files(__name__).joinpath("default", "policy.csv").read_bytes()


def sample(name: str) -> Traversable:
    """Return the folder of a sample policy: `policy.csv`, `labels.yaml` and `tests.yaml`.

    Args:
        name: One of the folders beneath `samples`, such as `team`.

    Raises:
        KeyError: There is no such sample.
    """
    found = {
        folder.name: folder for folder in files(__name__).joinpath("samples").iterdir() if folder.is_dir()
    }
    return found[name]
