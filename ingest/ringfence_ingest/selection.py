"""Say which files of a source are wanted.

Promise: the same names are wanted each time; nothing here looks at content.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .globs import Glob
from .label_files import FILE_NAME


@dataclass(frozen=True, slots=True)
class Selection:
    """Which paths of a source are wanted.

    Args:
        include: Globs; a path must match one of them. None given means all.
        exclude: Globs; a path that matches one of them, or lies beneath a folder that does, is left out.
        hidden: Whether names that start with a dot are wanted; `.ringfence.yaml` never is.
    """

    include: tuple[Glob, ...] = ()
    exclude: tuple[Glob, ...] = ()
    hidden: bool = False

    @classmethod
    def of(
        cls, include: Sequence[str] = (), exclude: Sequence[str] = (), *, hidden: bool = False
    ) -> Selection:
        """Return the selection that globs as text describe.

        Raises:
            InvalidInput: A glob is unclear.
        """
        return cls(tuple(map(Glob, include)), tuple(map(Glob, exclude)), hidden)

    def wants_folder(self, path: str) -> bool:
        """Say whether a folder is entered; `path` is relative to the root."""
        return self._visible(path) and not any(glob.matches(path) for glob in self.exclude)

    def wants_file(self, path: str) -> bool:
        """Say whether a file is wanted; its folders are already."""
        if path.rpartition("/")[2] == FILE_NAME or not self._visible(path):
            return False
        if any(glob.matches(path) for glob in self.exclude):
            return False
        return not self.include or any(glob.matches(path) for glob in self.include)

    def wants_path(self, path: str) -> bool:
        """Say whether a file is wanted, judging each folder on its way too."""
        parts = path.split("/")
        folders = ("/".join(parts[:count]) for count in range(1, len(parts)))
        return all(self.wants_folder(folder) for folder in folders) and self.wants_file(path)

    def _visible(self, path: str) -> bool:
        return self.hidden or not path.rpartition("/")[2].startswith(".")
