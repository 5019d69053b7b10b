"""Sign what an erasure did and found, and say later whether that still holds.

Promise: a certificate is canonical JSON under an Ed25519 signature; a changed
byte shows. What tells of the whole store (files, sizes, numbers, what others
made) is signed by its digest, so that it can be left out for who may not know
it, and the rest still verifies.

The key is the store's own, for this alone; it lies wrapped among the keys.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from .errors import InvalidInput
from .key_store import KeyStore

VERSION = 1
"""Raised with each change of a field's meaning."""
PURPOSE = "certificate"
"""What the signing key is kept for, among the store's own keys."""
BYTES_MAX = 64 << 20
DETAILS = "looked_at"
"""The field that may be left out."""
SIGNATURE = "signature"
_DOMAIN = b"ringfence erasure certificate 1\n"


def signing_key(keys: KeyStore) -> Ed25519PrivateKey:
    """Return the store's signing key, made at its first use."""
    return Ed25519PrivateKey.from_private_bytes(keys.ensure_store_key(PURPOSE))


def public_key(key: Ed25519PrivateKey) -> str:
    """Return its public half: 64 hexadecimal digits."""
    return key.public_key().public_bytes_raw().hex()


def signed(key: Ed25519PrivateKey, body: Mapping[str, Any], details: Mapping[str, Any]) -> dict[str, Any]:
    """Return a certificate.

    Args:
        body: What anybody with a right to the certificate is told.
        details: What only some are told: kept beneath `looked_at`.
    """
    certificate = {
        **body,
        "version": VERSION,
        "public_key": public_key(key),
        f"{DETAILS}_sha256": hashlib.sha256(canonical(details)).hexdigest(),
    }
    signature = key.sign(_DOMAIN + canonical(certificate)).hex()
    return {**certificate, DETAILS: dict(details), SIGNATURE: signature}


def without_details(certificate: Mapping[str, Any]) -> dict[str, Any]:
    """Return a certificate that says nothing of the rest of the store, and still verifies."""
    return {name: value for name, value in certificate.items() if name != DETAILS}


def is_genuine(certificate: Mapping[str, Any], public: str) -> bool:
    """Say whether a certificate was signed by the key with this public half, and not changed."""
    try:
        body = {name: value for name, value in certificate.items() if name not in (DETAILS, SIGNATURE)}
        if certificate.get("public_key") != public or certificate.get("version") != VERSION:
            return False
        if DETAILS in certificate:
            digest = hashlib.sha256(canonical(certificate[DETAILS])).hexdigest()
            if digest != certificate[f"{DETAILS}_sha256"]:
                return False
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
        key.verify(bytes.fromhex(str(certificate[SIGNATURE])), _DOMAIN + canonical(body))
    except (InvalidSignature, ValueError, KeyError, TypeError):
        return False
    return True


def parsed(text: str | bytes) -> dict[str, Any]:
    """Read a certificate.

    Raises:
        InvalidInput: It is none; whether it is genuine is another question.
    """
    if len(text) > BYTES_MAX:
        raise InvalidInput(f"certificate: found {len(text)} bytes; expected at most {BYTES_MAX}")
    try:
        found = json.loads(text, object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not _is_one(found):
        raise InvalidInput("certificate: found no certificate; expected the JSON object that an erasure gave")
    return found


def _is_one(found: dict[str, Any]) -> bool:
    documents = found.get("documents")
    return (
        all(isinstance(found.get(name), str) for name in ("store", "erasure", SIGNATURE))
        and isinstance(documents, list)
        and all(isinstance(each, str) for each in documents)
    )


def canonical(value: object) -> bytes:
    """Return the one byte string that stands for a JSON value."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    ).encode()


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found
