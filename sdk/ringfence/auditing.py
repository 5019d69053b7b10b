"""What an auditor may do: ask in SQL; verify the audit log, sign it, prove a record, keep it bounded.

Promise: each call is a record of the log itself; who may not is told nothing
of what stands in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ringfence_governance.door import Door
from ringfence_governance.subjects import Subject

from .boundary import public

if TYPE_CHECKING:
    from ringfence_governance.witnesses import WitnessLike

    from .audit_database import AuditDatabase


class Auditing:
    """The part of a :class:`Reader` that is for auditors."""

    __slots__ = ("__door", "__subject")

    def __init__(self, door: Door, subject: Subject) -> None:
        self.__door = door
        self.__subject = subject

    @public
    def audit_database(self, *, since: str | None = None) -> AuditDatabase:
        """Open what this subject may audit as tables, to be asked in SQL: lineage, rights, reads, changes.

        Args:
            since: UTC, `YYYY-MM-DDTHH:MM:SSZ`: who might read is worked out from then on; None for all time.

        Raises:
            Refused: This subject may audit nothing here.
            InvalidInput: The time is malformed.
        """
        # Needed only here: DuckDB is loaded for who audits.
        from .audit_database import AuditDatabase

        return AuditDatabase(self.__door.audit_desk(self.__subject, since=since))

    @public
    def verify_log(self, *, witness: WitnessLike | None = None) -> dict[str, Any]:
        """Say, to an auditor, whether the log is what it was: complete, in order, unchanged.

        Args:
            witness: A path, address or :class:`Witness` whose checkpoints the log is held to; None takes the one
                the store was opened with, an empty text none.

        Returns:
            `valid`; how many records were read, and signed; each `finding` with the first bad record; and
            `unknown`: what could not be known.

        Raises:
            Refused: This subject may not audit his tenant's policy.
            StoreError: The witness cannot be asked.
        """
        return self.__door.verify_log(self.__subject, witness=witness)

    @public
    def sign_log(self, *, witness: WitnessLike | None = None) -> dict[str, Any]:
        """Make a checkpoint now, of all processes' records, and hand it to the witness.

        Args:
            witness: Another one that is handed all checkpoints; None for none.

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
