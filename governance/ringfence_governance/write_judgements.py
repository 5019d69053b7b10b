"""Judge what a run wants to write, and judge it again before it is published.

Promise: what is published was allowed by the policy it is published under: a
right that was taken back while a run went on publishes nothing of its batch.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial

from . import journal
from .drafts import LabelChoice
from .errors import Refused, WriteRefused
from .floors import Floors
from .ground import Ground
from .labels import LabelEntry
from .manifest import Held
from .write_authority import WriteAuthority

TAKEN_BACK = "was taken back while the run went on; nothing of its last batch was published"


class WriteJudgements:
    """The judgements of one batch, each kept so that it can be made again."""

    __slots__ = ("_authority", "_floors", "_ground", "_kept", "_policy")

    def __init__(self, ground: Ground, authority: WriteAuthority, floors: Floors) -> None:
        self._ground = ground
        self._authority = authority
        self._floors = floors
        self._kept: list[Callable[[], None]] = []
        self._policy = self._policy_now()

    def begin(self, policy: int) -> None:
        """Begin a new batch under this policy, given by its newest journal row."""
        self._kept.clear()
        self._policy = policy

    def keep_put(
        self, label: LabelChoice, sha256: str, held: Held | None, parents: tuple[LabelEntry, ...]
    ) -> None:
        """Keep the judgement of a document that was put."""
        self._kept.append(partial(self._put, label, sha256, held, parents))

    def keep_relabel(self, label: LabelChoice, held: Held) -> None:
        """Keep the judgement of a relabelled document."""
        self._kept.append(partial(self._relabel, label, held))

    def keep_removal(self, held: Held) -> None:
        """Keep the judgement of a removed document."""
        self._kept.append(partial(self._removal, held))

    def again(self) -> int:
        """Judge the whole batch anew if the policy is not the one it was judged by; return the policy.

        Raises:
            Refused: A right was taken back in the meantime; publish nothing of the batch.
            WriteRefused: A label would be lower now; publish nothing of the batch.
        """
        policy = self._policy_now()
        if policy != self._policy:
            for judge in self._kept:
                judge()
        return policy

    def may_relabel(self, label: LabelChoice, held: Held) -> bool:
        """Say whether a held document may get this label."""
        return self._authority.may_move(held.atom, label) and self._authority.may_replace(label, held.atom)

    def refuse_lowering(
        self, label: LabelChoice, sha256: str, held: Held | None, parents: Collection[LabelEntry]
    ) -> None:
        """Hold a document to what it replaces, and to bytes like its own.

        Raises:
            Refused: A rule denies its ingester to take the old content away, or to relabel it.
            WriteRefused: Its label would be lower than one it may not go below.
        """
        if held is not None:
            self._refuse_replacing(label, held, parents)
        own = held.document_id if held is not None else None
        for floor in self._floors.equal_bytes(sha256, except_document=own):
            if not self._authority.may_replace(label, floor.atom, parents):
                raise WriteRefused(
                    "its bytes equal a document you may read, or were given, under a higher label; "
                    "expected a label not lower than that one, or the right to declassify; "
                    "nothing was written"
                )

    def _refuse_replacing(self, label: LabelChoice, held: Held, parents: Collection[LabelEntry]) -> None:
        if not (
            self._authority.may_remove(held.atom)
            and (self._authority.same(label, held.atom) or self._authority.may_move(held.atom, label))
        ):
            raise Refused(
                "a rule denies its ingester to delete or relabel it; nothing was changed",
                hint="an administrator of the tenant can say why",
            )
        if not self._authority.may_replace(label, held.atom, parents):
            raise WriteRefused(
                "its label would be lower than the one it has; expected an equal or higher one, "
                "or the right to declassify; nothing was changed"
            )

    def _policy_now(self) -> int:
        with self._ground.catalog.read() as connection:
            return journal.version(connection)

    def _put(
        self, label: LabelChoice, sha256: str, held: Held | None, parents: tuple[LabelEntry, ...]
    ) -> None:
        self._authority.check_ingest(label)
        self.refuse_lowering(label, sha256, held, parents)

    def _relabel(self, label: LabelChoice, held: Held) -> None:
        self._authority.check_ingest(label)
        if not self.may_relabel(label, held):
            raise Refused(f"the right to relabel {TAKEN_BACK}")

    def _removal(self, held: Held) -> None:
        if not self._authority.may_remove(held.atom):
            raise Refused(f"the right to remove {TAKEN_BACK}")
