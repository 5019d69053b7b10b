"""What an auditor may do with a store's audit log: verify it, sign it, prove a record; and keep it bounded.

Promise: each call is a record of the log itself; who may not is told nothing
of what stands in it.
"""

from __future__ import annotations

from typing import Any

from ringfence_governance.door import Door
from ringfence_governance.subjects import Subject

from .boundary import public


class Auditing:
    """The part of a :class:`Reader` that is about the audit log as a whole."""

    __slots__ = ("__door", "__subject")

    def __init__(self, door: Door, subject: Subject) -> None:
        self.__door = door
        self.__subject = subject

    @public
    def verify_log(self, *, witness: str | None = None) -> dict[str, Any]:
        """Say, to an auditor, whether the log is what it was: complete, in order, unchanged.

        Args:
            witness: A path or address whose checkpoints the log is held to; None takes the one the store was
                opened with, an empty text none.

        Returns:
            `valid`; how many records were read, and signed; each `finding` with the first bad record; and
            `unknown`: what could not be known.

        Raises:
            Refused: This subject may not audit his tenant's policy.
            StoreError: The witness cannot be asked.
        """
        return self.__door.verify_log(self.__subject, witness=witness)

    @public
    def sign_log(self, *, witness: str | None = None) -> dict[str, Any]:
        """Make a checkpoint now, of all processes' records, and hand it to the witness.

        Args:
            witness: Another witness that is handed all checkpoints; None for none.

        Raises:
            Refused: This subject may not audit his tenant's policy.
            StoreError: A witness did not confirm; the checkpoint stands. Or the log is not what was signed.
        """
        return self.__door.sign_log(self.__subject, witness=witness)

    @public
    def prove_record(self, record: str) -> dict[str, Any]:
        """Return a proof that a record of the subject's tenant was in the log when a checkpoint was signed.

        Args:
            record: `SEGMENT:NUMBER`, as :meth:`Reader.log` names it.

        Raises:
            Refused: This subject may not audit his tenant's policy.
            NotReadable: There is no such record of his tenant, or no checkpoint covers it yet.
        """
        return self.__door.prove_record(self.__subject, record)

    @public
    def keep_log(self, *, days: float | None = None, bytes_max: int | None = None) -> dict[str, Any]:
        """Pack the log's closed segments, and remove old ones; what proves them stays.

        Args:
            days: Remove segments whose last record is older; None removes none for its age.
            bytes_max: Remove the oldest until no more is left; None removes none for its size.

        Raises:
            Refused: This subject may not administer every tenant of the store.
            StoreBusy: The witness lacks checkpoints: nothing was removed.
        """
        return self.__door.keep_log(self.__subject, days=days, bytes_max=bytes_max)
