"""Refuse to publish over what came in between.

Promise: a publication is made on top of the one its writer began with, under
the policy he was judged by, and by nobody else: checked in the transaction
that makes it.
"""

from __future__ import annotations

from sqlalchemy import Connection

from . import journal, publications
from .errors import Refused, WriteRefused
from .leases import WriterLease
from .publications import Publication


def refuse_moved(
    connection: Connection, lease: WriterLease, began: Publication, policy: int | None, undone: str
) -> None:
    """Refuse unless a writer still holds its lease, and store and policy are what it began with.

    Args:
        began: The newest publication when it began.
        policy: Number of the newest change of the policy when it was judged; None if no policy matters.
        undone: What was not done, past tense.

    Raises:
        WriterExpelled: The lease is another's.
        WriteRefused: Somebody else published.
        Refused: The policy changed.
    """
    lease.check(connection)
    if publications.newest(connection).sequence != began.sequence:
        raise WriteRefused(f"another publication came in between; nothing was {undone}; run it again")
    if policy is not None and journal.version(connection) != policy:
        raise Refused(f"the policy changed while this was published; nothing was {undone}; run it again")
