"""Master keys that AWS KMS holds and never hands out; anything that speaks its protocol will do.

Promise: no master key is ever in this process, no credential is ever in a file
of the store. Each generation is a KMS key of its own. What is wrapped opens
only with the key, the store and the generation it was wrapped for. A KMS that
does not answer is waited for no longer than :data:`key_kms_calls.WAIT_S_MAX` a call.

Region, credentials and endpoint are boto3's own configuration (AWS_…).

Source: docs/decisions/0011-keys.md.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import KeyUnavailable
from .key_kms_calls import Calls
from .key_provider import Retirement

KIND = "aws-kms"
PENDING_DAYS = 7
"""How long KMS waits before it deletes a key: its shortest. Until then nothing can be done with the key, but its
administrators can take the deletion back."""


@dataclass(frozen=True, slots=True)
class KmsKey:
    """The KMS key of one generation.

    Args:
        arn: What names it.
        given: Whether it was there before the store; it may serve others too, so it is never deleted here.
    """

    arn: str
    given: bool


class KmsKeys:
    """The KMS keys of one store, by generation."""

    __slots__ = ("_calls", "_keep", "_read", "_store_id")

    kind = KIND

    def __init__(
        self,
        store_id: str,
        read: Callable[[], Mapping[int, KmsKey]],
        keep: Callable[[Mapping[int, KmsKey]], None],
    ) -> None:
        self._store_id = store_id
        self._read = read
        self._keep = keep
        self._calls = Calls()

    def __repr__(self) -> str:
        return "KmsKeys(…)"

    def __reduce__(self) -> str:
        raise TypeError("a key provider cannot be pickled")

    def wrap(self, generation: int, plain: bytes, context: bytes) -> bytes:
        """See :meth:`KeyProvider.wrap`."""
        arn = self._arn(generation)
        self._require_usable(arn)
        answer = self._calls.call(
            "encrypt", arn, KeyId=arn, Plaintext=plain, EncryptionContext=self._context(generation, context)
        )
        return bytes(self._by(arn, answer)["CiphertextBlob"])

    def unwrap(self, generation: int, wrapped: bytes, context: bytes) -> bytes:
        """See :meth:`KeyProvider.unwrap`."""
        arn = self._arn(generation)
        self._require_usable(arn)
        # Naming the key keeps a wrap under another key of the account from being opened instead.
        answer = self._calls.call(
            "decrypt",
            arn,
            KeyId=arn,
            CiphertextBlob=wrapped,
            EncryptionContext=self._context(generation, context),
        )
        return bytes(self._by(arn, answer)["Plaintext"])

    def generations(self) -> tuple[int, ...]:
        """See :meth:`KeyProvider.generations`."""
        return tuple(sorted(self._read()))

    def newest(self) -> int:
        """See :meth:`KeyProvider.newest`."""
        return max(self._read(), default=0)

    def new_generation(self, after: int) -> int:
        """Make a new KMS key. See :meth:`KeyProvider.new_generation`."""
        keys = dict(self._read())
        if keys and max(keys) > after:
            return max(keys)
        generation = after + 1
        tags = [
            {"TagKey": "ringfence-store", "TagValue": self._store_id},
            {"TagKey": "ringfence-generation", "TagValue": str(generation)},
        ]
        # Beside the key before it: the same identity must reach both.
        beside = keys[max(keys)].arn if keys else ""
        answer = self._calls.call(
            "create_key",
            beside or "a new key",
            Description=f"Ringfence master key {generation} of {self._store_id}",
            Tags=tags,
        )
        self._keep(keys | {generation: KmsKey(str(answer["KeyMetadata"]["Arn"]), given=False)})
        return generation

    def adopt(self, key_id: str) -> None:
        """Take a KMS key that is there already for the first generation.

        Raises:
            KeyUnavailable: It is unknown, disabled, or not for encryption.
        """
        found = self._require_usable(key_id)
        if (usage := found.get("KeyUsage")) != "ENCRYPT_DECRYPT":
            raise KeyUnavailable(
                f"KMS key {key_id!r}: found usage {usage}; expected ENCRYPT_DECRYPT",
                hint="name a symmetric encryption key",
            )
        self._keep({1: KmsKey(str(found["Arn"]), given=True)})

    def retire(self, generation: int) -> Retirement:
        """Schedule the deletion of a KMS key that was made here, which disables it at once; see :class:`Retirement`."""
        keys = dict(self._read())
        key = keys.get(generation)
        if key is None:
            return Retirement(generation, destroyed=True)
        if key.given:
            note = f"schedule the deletion of {key.arn} yourself, once nothing else needs it"
        else:
            day = self._deletion_day(key.arn)
            note = f"KMS deletes {key.arn} on {day}; until then its administrators can take that back"
        del keys[generation]
        self._keep(keys)
        return Retirement(generation, destroyed=False, note=note)

    def describe(self) -> dict[str, str]:
        """See :meth:`KeyProvider.describe`."""
        keys = self._read()
        return {"kind": KIND, "key": keys[max(keys)].arn if keys else ""}

    def _deletion_day(self, arn: str) -> str:
        state = self._calls.call("describe_key", arn, KeyId=arn)["KeyMetadata"]
        if state["KeyState"] != "PendingDeletion":
            # KMS schedules this for keys of one's own account alone, which need no ARN.
            own = arn.rpartition("/")[2]
            self._calls.call("schedule_key_deletion", arn, KeyId=own, PendingWindowInDays=PENDING_DAYS)
            state = self._calls.call("describe_key", arn, KeyId=arn)["KeyMetadata"]
        return str(state["DeletionDate"].strftime("%Y-%m-%d"))

    def _arn(self, generation: int) -> str:
        keys = self._read()
        if generation not in keys:
            raise KeyUnavailable(
                f"master key: no KMS key is named for generation {generation}; found {sorted(keys)}",
                hint="an older copy of the keys opens nothing once its generation was retired; "
                "use the keys.db and provider.json that belong together",
            )
        return keys[generation].arn

    def _require_usable(self, key_id: str) -> dict[str, Any]:
        """Look first, since a refusal by KMS says less: until when a deletion can be taken back, for one."""
        found: dict[str, Any] = self._calls.call("describe_key", key_id, KeyId=key_id)["KeyMetadata"]
        state = found["KeyState"]
        if state == "Enabled":
            return found
        if state == "PendingDeletion":
            hint = "a KMS administrator can take its deletion back while it is pending, and enable it"
        else:
            hint = "a KMS administrator can enable it"
        raise KeyUnavailable(
            f"KMS key {key_id}: found state {state}; expected Enabled; without the key nothing opens",
            hint=hint,
        )

    def _by(self, arn: str, answer: dict[str, Any]) -> dict[str, Any]:
        if answer["KeyId"] != arn:
            raise KeyUnavailable(
                f"KMS answered with key {answer['KeyId']}; expected {arn}; nothing of it is used",
                hint="see what answers at the endpoint that AWS_ENDPOINT_URL or AWS_ENDPOINT_URL_KMS names",
            )
        return answer

    def _context(self, generation: int, context: bytes) -> dict[str, str]:
        """KMS writes this into its own log, so it holds opaque ids alone; a key policy can be bound to it."""
        return {
            "ringfence-store": self._store_id,
            "ringfence-generation": str(generation),
            "ringfence-place": base64.b64encode(context).decode(),
        }
