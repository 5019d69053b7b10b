"""Seal bytes so that they open only under the right key and in the right place.

Promise: what is sealed for one row and column does not open in another; a
changed byte does not open at all. AES-256-GCM with a random 96-bit nonce in
front of each ciphertext.

Source: NIST SP 800-38D; DESIGN.md §5.
"""

from __future__ import annotations

import hmac
import os
import zlib
from collections.abc import Iterable
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .errors import StoreCorrupt

KEY_BYTES = 32
NONCE_BYTES = 12
OVERHEAD_BYTES = NONCE_BYTES + 16
UNPACKED_BYTES_MAX = 1 << 30
"""Bound on what one compressed value may unpack to."""

_DOMAIN = b"ringfence/1"


class Cipher:
    """One data key, ready to seal and open. Prints nothing of itself."""

    __slots__ = ("_aead",)

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"found a key of {len(key)} bytes; expected {KEY_BYTES}")
        self._aead = AESGCM(key)

    def __repr__(self) -> str:
        return "Cipher(…)"

    def __reduce__(self) -> str:
        raise TypeError("a key cannot be pickled")

    def seal(self, plain: bytes, place: bytes) -> bytes:
        """Return nonce and ciphertext of `plain`, bound to `place`."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, plain, place)

    def open(self, sealed: bytes, place: bytes) -> bytes:
        """Return the plain bytes.

        Raises:
            StoreCorrupt: Wrong key, wrong place, or changed bytes.
        """
        if len(sealed) < OVERHEAD_BYTES:
            raise StoreCorrupt(
                f"found a sealed value of {len(sealed)} bytes; expected at least {OVERHEAD_BYTES}"
            )
        try:
            return self._aead.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place)
        except InvalidTag as error:
            raise StoreCorrupt(
                "a sealed value does not open under the key of its label and document"
            ) from error

    def seal_packed(self, plain: bytes, place: bytes) -> bytes:
        """Compress, then seal."""
        return self.seal(zlib.compress(plain, 6), place)

    def open_packed(self, sealed: bytes, place: bytes) -> bytes:
        """Open, then decompress within a bound.

        Raises:
            StoreCorrupt: As :meth:`open`, or the value unpacks to more than the bound.
        """
        unpacker = zlib.decompressobj()
        plain = unpacker.decompress(self.open(sealed, place), UNPACKED_BYTES_MAX)
        if not unpacker.eof:
            raise StoreCorrupt(f"a sealed value unpacks to more than {UNPACKED_BYTES_MAX} bytes")
        return plain


def place(*parts: str | int) -> bytes:
    """Return the byte string that names one place: every part with its length, so none can shift."""
    return _DOMAIN + b"".join([_sized(part) if type(part) is str else _sized(str(part)) for part in parts])


def places(*parts: str | int, last: Iterable[str]) -> list[bytes]:
    """Return the names of places that differ in their last part alone, each as :func:`place` gives it."""
    shared = place(*parts)
    return [shared + _sized(each) for each in last]


@lru_cache(maxsize=4096)
def _sized(part: str) -> bytes:
    """Return a part with its length in front; those of a store, a table and a column are asked for again and again."""
    encoded = part.encode()
    return len(encoded).to_bytes(4, "big") + encoded


def digest(key: bytes, *parts: str | bytes | int) -> str:
    """Return a keyed digest (HMAC-SHA-256, hex) over length-prefixed parts."""
    found = [_DOMAIN]
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        found += (len(data).to_bytes(8, "big"), data)
    # In one call: making an object of it costs several times what the digest does.
    return hmac.digest(key, b"".join(found), "sha256").hex()


def derive_from_all(keys: dict[str, bytes], context: bytes) -> bytes:
    """Return the key that needs every one of `keys`: leave one out and it is another key.

    Args:
        keys: Part name → key; at least one; order does not matter.
        context: What the derived key is for.

    Source: RFC 5869; DESIGN.md §5 (a derivative needs the keys of all its parts).
    """
    if not keys:
        raise ValueError("found no key to derive from; expected at least one part")
    material = b"".join(place(name) + keys[name] for name in sorted(keys))
    return HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=None, info=_DOMAIN + context).derive(
        material
    )
