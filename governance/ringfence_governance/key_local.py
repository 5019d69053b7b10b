"""Master keys this machine holds itself: in the key file, or in an environment variable.

Promise: a key is read when it is used, wraps with AES-256-GCM bound to its
context, and is neither kept nor handed out.
"""

from __future__ import annotations

import os
from pathlib import Path

from . import key_file
from .ambient import Ambient
from .errors import KeyUnavailable, StoreCorrupt
from .key_file import MasterKey
from .key_provider import FIRST_GENERATION, Retirement
from .seal import Cipher

VARIABLE = "RINGFENCE_MASTER_KEY"
"""Holds `GENERATION:KEY` words; the same with `_` and a store's id in capitals behind it is for that store alone."""


class LocalKeys:
    """What the two kinds have in common: all but where the keys stand."""

    __slots__ = ("_store_id",)

    kind = ""

    def __init__(self, store_id: str) -> None:
        self._store_id = store_id

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    def __reduce__(self) -> str:
        raise TypeError("a key provider cannot be pickled")

    def where(self) -> str:
        """Return what names the place the keys stand in, for messages."""
        raise NotImplementedError

    def _keys(self) -> dict[int, MasterKey]:
        raise NotImplementedError

    def wrap(self, generation: int, plain: bytes, context: bytes) -> bytes:
        """See :meth:`KeyProvider.wrap`."""
        return self._cipher(generation).seal(plain, context)

    def unwrap(self, generation: int, wrapped: bytes, context: bytes) -> bytes:
        """See :meth:`KeyProvider.unwrap`."""
        try:
            return self._cipher(generation).open(wrapped, context)
        except StoreCorrupt:
            raise KeyUnavailable(
                f"master key: generation {generation} of {self.where()} does not open the key database; "
                "one of the two is of another store, or was changed",
                hint="put back the master key and keys.db that belong together",
            ) from None

    def generations(self) -> tuple[int, ...]:
        """See :meth:`KeyProvider.generations`."""
        return tuple(sorted(self._keys()))

    def newest(self) -> int:
        """See :meth:`KeyProvider.newest`."""
        return max(self._keys(), default=0)

    def describe(self) -> dict[str, str]:
        """See :meth:`KeyProvider.describe`."""
        return {"kind": self.kind, "key": self.where()}

    def _cipher(self, generation: int) -> Cipher:
        keys = self._keys()
        if generation not in keys:
            raise KeyUnavailable(
                f"master key: {self.where()} has no generation {generation}; found {sorted(keys)}",
                hint="an older copy of the keys opens nothing once its generation was retired; "
                "use the master key and keys.db that belong together",
            )
        return Cipher(keys[generation].secret)


class KeyFile(LocalKeys):
    """The default: a file of mode 0600 outside the store, one line for each generation."""

    __slots__ = ("_ambient", "_folder")

    kind = "file"

    def __init__(self, folder: Path, store_id: str, ambient: Ambient) -> None:
        super().__init__(store_id)
        self._folder = folder
        self._ambient = ambient

    def where(self) -> str:
        """Return the file's path."""
        return str(self._folder / key_file.FILE_NAME)

    def create(self) -> Path:
        """Write the file of a new store, and return its path. See :func:`key_file.write`."""
        return key_file.write(self._folder, self._new(FIRST_GENERATION))

    def new_generation(self, after: int) -> int:
        """See :meth:`KeyProvider.new_generation`."""
        keys = self._keys()
        if max(keys) > after:
            return max(keys)
        key_file.replace(self._folder, [*keys.values(), self._new(after + 1)])
        return after + 1

    def retire(self, generation: int) -> Retirement:
        """Replace the file by one without it. What the disk keeps of the old one, nobody here can say."""
        kept = [key for number, key in self._keys().items() if number != generation]
        key_file.replace(self._folder, kept)
        return Retirement(generation, destroyed=True)

    def _new(self, generation: int) -> MasterKey:
        secret = self._ambient.new_key("master", "" if generation == FIRST_GENERATION else str(generation))
        return MasterKey(self._store_id, generation, secret)

    def _keys(self) -> dict[int, MasterKey]:
        return {key.generation: key for key in key_file.read(self._folder, self._store_id)}


class KeyVariable(LocalKeys):
    """An environment variable that somebody else fills: `1:KEY 2:KEY`, each key 32 bytes in base64."""

    __slots__ = ()

    kind = "environment"

    def where(self) -> str:
        """Return the variable's name."""
        own = f"{VARIABLE}_{self._store_id.upper()}"
        return own if own in os.environ else VARIABLE

    def new_generation(self, after: int) -> int:
        """Return a newer generation that stands in the variable already.

        Raises:
            KeyUnavailable: There is none; this process cannot put one there for those that come after.
        """
        if (newest := self.newest()) > after:
            return newest
        raise KeyUnavailable(
            f"master key: {self.where()} has no generation newer than {after}; expected {after + 1}:KEY beside it",
            hint="add a new key for every process that opens the store, 32 random bytes in base64 "
            "(head -c 32 /dev/urandom | base64), and call it again",
        )

    def retire(self, generation: int) -> Retirement:
        """Say that it has to be taken out of the variable: no process can do that for the others."""
        if generation not in self._keys():
            return Retirement(generation, destroyed=True)
        note = f"take {generation}:… out of {self.where()}, and destroy the copies of it"
        return Retirement(generation, destroyed=False, note=note)

    def _keys(self) -> dict[int, MasterKey]:
        name = self.where()
        words = os.environ.get(name, "").replace(",", " ").split()
        if not words:
            raise KeyUnavailable(
                f"master key: the environment variable {name} is not set; without the key nothing opens",
                hint=f"set {name} to GENERATION:KEY, the key being 32 bytes in base64",
            )
        keys: dict[int, MasterKey] = {}
        for word in words:
            number, colon, text = word.rpartition(":")
            generation = int(number) if number.isascii() and number.isdigit() else 0
            secret = key_file.parse_secret(text)
            if secret is None or not colon or generation < 1 or generation in keys:
                raise KeyUnavailable(
                    f"master key: {name} is malformed or cut short; expected GENERATION:KEY words, "
                    "each generation once, each key 32 bytes in base64"
                )
            keys[generation] = MasterKey(self._store_id, generation, secret)
        return keys
