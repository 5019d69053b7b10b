"""Ask AWS KMS one thing, and say in plain words why it was not answered.

Promise: a call answers, or raises within :data:`WAIT_S_MAX`; a message names
the key and what to do, and holds no credential.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from .errors import KeyUnavailable

if TYPE_CHECKING:
    from botocore.client import BaseClient

TIMEOUT_S = 5
"""How long a connection, and then its answer, is waited for."""
ATTEMPTS_MAX = 2
WAIT_S_MAX = 2 * TIMEOUT_S * ATTEMPTS_MAX + 5
"""The longest one call takes: each attempt connects and reads; the rest is the pause between and the credentials."""

_OTHER_KEY = ("InvalidCiphertextException", "IncorrectKeyException")
_GONE = ("NotFoundException", "KMSInvalidStateException", "DisabledException", "KeyUnavailableException")
_WHO = (
    "401",
    "403",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
)


class Calls:
    """Clients of KMS, one for each region, made when they are first needed."""

    __slots__ = ("_clients", "_making")

    def __init__(self) -> None:
        self._clients: dict[str | None, BaseClient] = {}
        self._making = threading.Lock()

    def __repr__(self) -> str:
        return "Calls(…)"

    def __reduce__(self) -> str:
        raise TypeError("a client of a KMS cannot be pickled")

    def call(self, operation: str, key_id: str, **arguments: Any) -> dict[str, Any]:
        """Return KMS's answer.

        Args:
            key_id: The key it is about, for the message; an ARN says in which region, too.

        Raises:
            KeyUnavailable: It refused, or did not answer.
        """
        try:
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError:
            raise _not_installed() from None
        try:
            answer: dict[str, Any] = getattr(self._client(_region(key_id)), operation)(**arguments)
        except ClientError as error:
            raise _refused(str(error.response.get("Error", {}).get("Code", "?")), operation, key_id) from None
        except (BotoCoreError, ValueError) as error:
            raise _unanswered(type(error).__name__, operation, key_id) from None
        return answer

    def _client(self, region: str | None) -> BaseClient:
        with self._making:
            if region not in self._clients:
                try:
                    from boto3.session import Session
                    from botocore.config import Config
                except ImportError:
                    raise _not_installed() from None
                settings = Config(
                    connect_timeout=TIMEOUT_S,
                    read_timeout=TIMEOUT_S,
                    retries={"total_max_attempts": ATTEMPTS_MAX, "mode": "standard"},
                )
                self._clients[region] = Session().client("kms", config=settings, region_name=region)
            return self._clients[region]


def _region(key_id: str) -> str | None:
    """Return the region an ARN names; None leaves it to boto3's configuration."""
    parts = key_id.split(":")
    return parts[3] if len(parts) >= 6 and parts[0] == "arn" and parts[3] else None


def _not_installed() -> KeyUnavailable:
    return KeyUnavailable(
        "the store's master key is in AWS KMS; expected boto3 to be installed",
        hint="pip install 'ringfence[kms]'",
    )


def _unanswered(kind: str, operation: str, key_id: str) -> KeyUnavailable:
    if "Credential" in kind or "Token" in kind or "SSO" in kind or "Profile" in kind:
        hint = (
            "give this process credentials for AWS: AWS_ACCESS_KEY_ID with its secret, AWS_PROFILE, or a role"
        )
    elif "Region" in kind:
        hint = "set AWS_DEFAULT_REGION"
    else:
        hint = "see whether KMS can be reached from here, and what AWS_ENDPOINT_URL_KMS says; then try again"
    return KeyUnavailable(
        f"KMS cannot be asked to {operation} with {key_id} ({kind}); without the key nothing opens", hint=hint
    )


def _refused(code: str, operation: str, key_id: str) -> KeyUnavailable:
    if code in _OTHER_KEY:
        return KeyUnavailable(
            f"KMS key {key_id} does not open the key database ({code}); one of the two is of another store, "
            "or was changed",
            hint="put back the keys.db and provider.json that belong together",
        )
    if code in _GONE:
        return KeyUnavailable(
            f"KMS key {key_id} cannot be used ({code}): it is unknown, disabled, or about to be deleted",
            hint="a KMS administrator can enable it, or take its deletion back while it is pending",
        )
    if code in _WHO:
        return KeyUnavailable(
            f"KMS does not accept this process's credentials ({code}); without the key nothing opens",
            hint="renew or mend the credentials that AWS_…, the profile or the role gives",
        )
    if "Throttling" in code or "Internal" in code or "Timeout" in code or code.isdigit():
        return KeyUnavailable(
            f"KMS did not {operation} with {key_id} ({code}); without the key nothing opens", hint="try again"
        )
    return KeyUnavailable(
        f"KMS refused to {operation} with {key_id} ({code}); without the key nothing opens",
        hint="see that keys.db and provider.json belong together, and that the identity has kms:Encrypt, kms:Decrypt "
        "and kms:DescribeKey on the key; to rotate, also kms:CreateKey, kms:TagResource and kms:ScheduleKeyDeletion",
    )
