"""What one subject may do in a store: ask, explain, audit, administer.

Promise: every answer is for this subject alone; what he may not do says
nothing of what exists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ringfence_governance import certificates
from ringfence_governance.door import Door
from ringfence_governance.drafts import LabelChoice
from ringfence_governance.errors import InvalidInput
from ringfence_governance.kept_changes import Reasoned
from ringfence_governance.rows import is_opaque
from ringfence_governance.subjects import Subject
from ringfence_retrieval import listing
from ringfence_retrieval.reranking import Reranker
from ringfence_retrieval.results import (
    Counts,
    Document,
    DocumentList,
    DocumentText,
    Explanation,
    Hit,
)

from .boundary import public
from .searching import Searching

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

OBJECT_CHARACTERS_MAX = 4096


class Reader(Searching):
    """One subject in one store. Made by :meth:`Store.as_user`.

    Private names (`_Reader__*`) are not part of the interface; docs/threat-model.md says what they hold.
    """

    __slots__ = ("__door", "__subject", "__weakref__")

    def __init__(
        self,
        door: Door,
        subject: Subject,
        embed: Callable[[str], npt.NDArray[np.float32]],
        reranker: Callable[[], Reranker | None] | None = None,
    ) -> None:
        super().__init__(door, subject, embed, reranker)
        self.__door = door
        self.__subject = subject

    def __repr__(self) -> str:
        via = f", via={list(self.__subject.via)}" if self.__subject.via else ""
        purpose = f", purpose={self.__subject.purpose!r}" if self.__subject.purpose else ""
        return f"Reader({self.__subject.person!r}{via}{purpose})"

    def __reduce__(self) -> str:
        raise TypeError("a reader cannot be pickled; open the store again where it is needed")

    @property
    def subject(self) -> Subject:
        """Who asks."""
        return self.__subject

    @public
    def list(self, *, at: str | None = None) -> DocumentList:
        """Return all readable documents; `at` as in :meth:`search`."""
        return listing.documents(self.__door, self.__subject, at=at)

    @public
    def count(self, *, at: str | None = None) -> Counts:
        """Return how many documents and passages are readable; `at` as in :meth:`search`."""
        return listing.counts(self.__door, self.__subject, at=at)

    @public
    def text(self, document: str | Hit | Document, *, at: str | None = None) -> DocumentText:
        """Return the whole text of a readable document.

        Args:
            document: A hit, a document, an id, or the path of a readable document.
            at: As in :meth:`search`; a path is the one it had then.

        Raises:
            NotReadable: Unknown or unreadable, now or then: one answer.
            InvalidInput: Several readable documents have this path; use an id. Or the time is to come.
            Gone: What was published then is kept for nobody any more.
        """
        wanted = document.document if isinstance(document, Hit) else self.__resolved(document, at)
        return listing.text(self.__door, self.__subject, wanted, at=at)

    @public
    def why(self, found: str | Hit | Document, *, at: str | None = None) -> Explanation:
        """Say why this subject may read a document or passage: his own rules, his own path.

        Args:
            found: A hit, a document, an id, or the path of a readable document.
            at: As in :meth:`search`: for what was found with it. By the rules of now, under the label of then and
                under the one its document has now.

        Raises:
            NotReadable: Unknown or unreadable, now or then: one answer.
            InvalidInput: Several readable documents have this path; use an id. Or the time is to come.
            Gone: What was published then is kept for nobody any more.
        """
        return Explanation(self.__door.why(self.__subject, self.__resolved(found, at), at=at))

    @public
    def why_for(
        self,
        principal: str,
        found: str | Hit | Document,
        *,
        via: Sequence[str] = (),
        purpose: str = "",
        at: str | None = None,
    ) -> Explanation:
        """Say, to an auditor, why another subject may or may not read it: all rules, who granted each.

        Args:
            principal: The subject that is asked about, with `via` and `purpose` as in :meth:`Store.as_user`.
            found: A hit, a document, or an id.
            at: UTC, `YYYY-MM-DDTHH:MM:SSZ`: by the policy and labels of that time, changes of exactly that time
                included; None for now.

        Raises:
            NotReadable: Unknown now, or under a label this subject may not audit.
            InvalidInput: The time is malformed or to come.
        """
        return Explanation(
            self.__door.why_for(
                self.__subject, Subject(principal, tuple(via), purpose), _object_id(found), at=at
            )
        )

    @public
    def who(self, found: str | Hit | Document, *, at: str | None = None) -> Explanation:
        """Say, to an auditor, who may read a document or passage now, or might at a time.

        Args:
            found: A hit, a document, or an id.
            at: As in :meth:`why_for`.

        Raises:
            NotReadable: Unknown now, or under a label this subject may not audit.
            InvalidInput: The time is malformed or to come.
        """
        return Explanation(self.__door.who(self.__subject, _object_id(found), at=at))

    @public
    def what(self, *, documents: bool = False) -> Explanation:
        """Say how many documents this subject may read under each label; a label's name only if it is his.

        Args:
            documents: Whether to list the documents' ids too.
        """
        return Explanation(self.__door.what(self.__subject, documents=documents))

    @public
    def what_for(
        self,
        principal: str,
        *,
        via: Sequence[str] = (),
        purpose: str = "",
        action: str = "read",
        at: str | None = None,
        documents: bool = False,
    ) -> Explanation:
        """Say, to an auditor, under which labels another subject may do something, with their documents.

        Args:
            principal: The subject that is asked about, with `via` and `purpose` as in :meth:`Store.as_user`.
            action: What he may do: `read`, `ingest`, `audit` …; any action but `delegate`.
            at: As in :meth:`why_for`.
            documents: Whether to list the documents' ids too.

        Raises:
            Refused: This subject may audit nothing here.
            InvalidInput: The action is none, or the time is malformed or to come.
        """
        return Explanation(
            self.__door.what_for(
                self.__subject,
                Subject(principal, tuple(via), purpose),
                action=action,
                at=at,
                documents=documents,
            )
        )

    @public
    def log(self) -> Iterable[dict[str, Any]]:
        """Return, to an auditor, what was read and changed.

        Raises:
            Refused: This subject may audit nothing here.
        """
        return self.__door.log(self.__subject)

    @public
    def status(self) -> dict[str, Any]:
        """Return version, mode and health; numbers to who may audit or administer."""
        return self.__door.status(self.__subject)

    @public
    def relabel(
        self, document: str | Hit | Document, label: LabelChoice, *, why: str, ticket: str = ""
    ) -> bool:
        """Give a document another label, and carry it through to what was made from it. False: it had it.

        Args:
            document: A hit, a document, an id, or the path of a readable document.
            label: A label's name, or a label by value.

        Raises:
            NotReadable: Unknown, or under a label this subject may neither read nor relabel from.
            Refused: It may not be relabelled, or not to this label.
            WriteRefused: It would lower the label; that needs `declassify`.
        """
        wanted = document.document if isinstance(document, Hit) else self.__resolved(document)
        return bool(self.__door.relabel(self.__subject, wanted, label, Reasoned(why, ticket))["changed"])

    @public
    def erase(
        self,
        *documents: str | Document,
        why: str,
        ticket: str = "",
        canaries: Sequence[str | bytes] = (),
    ) -> Sequence[dict[str, Any]]:
        """Erase documents, everything made from them, their keys and older versions; return the certificates.

        Gone from the next question on, for everybody; an ingest that runs meanwhile is ended and publishes
        nothing more. A certificate whose `clean` is false says what was found where; call it again.

        Args:
            documents: Documents or their ids.
            canaries: Text or bytes that must be in no file afterwards, each of at least 6 bytes; for who may
                audit or administer the whole store.

        Returns:
            One certificate for each erasure, signed. Who may not know the store's sizes gets them without
            what was looked at.

        Raises:
            NotReadable: One is unknown, or this subject may neither read nor delete it.
            Refused: This subject may not delete one of them. Nothing was erased.
        """
        wanted = [_object_id(document) for document in documents]
        sought = [each.encode() if isinstance(each, str) else each for each in canaries]
        return self.__door.erase(self.__subject, wanted, Reasoned(why, ticket), canaries=sought)

    @public
    def lineage(
        self,
        found: str | Hit | Document,
        *,
        direction: str = "ancestors",
        depth: int = 6,
        audit: bool = False,
    ) -> dict[str, Any]:
        """Say what a document or passage came from, or what was made from it.

        A reader is told of what he may read alone, as if nothing else existed. An auditor is told of what he
        may audit, and how many others there are.

        Args:
            found: A hit, a document, an id, or the path of a readable document.
            direction: `ancestors` or `descendants`.
            depth: How many hops, 1 to 16; from a passage to its document is one.
            audit: Ask as an auditor.

        Returns:
            `object`, `direction`, `depth`, `nodes` (each with `id`, `kind`, `depth`, `document`; nearest first),
            `edges` (each with `child`, `parent`, `kind`, `run`), `hidden` (how many there are besides; None for a
            reader), `complete` (whether all within the depth are listed), and for a reader `as_of`.

        Raises:
            NotReadable: Unknown, or this subject may not read it, or not audit it: one answer.
            InvalidInput: Direction or depth is none.
        """
        return self.__door.lineage(
            self.__subject, self.__resolved(found), direction=direction, depth=depth, audit=audit
        )

    @public
    def compact(self, *, on_progress: Callable[[str, int, int], None] | None = None) -> dict[str, Any]:
        """Write the tables anew, rows of one label together, and remove versions nobody needs any more.

        Nobody's answer changes by it, and readers go on beside it.

        Args:
            on_progress: Called with table, rows written, and rows to write; for who may audit or administer
                every tenant alone.

        Raises:
            Refused: This subject may not administer.
            StoreBusy: An ingest is running.
        """
        return self.__door.compact(self.__subject, on_progress=on_progress)

    @public
    def verify_erasure(
        self, certificate: str | bytes | Mapping[str, Any], *, canaries: Sequence[str | bytes] = ()
    ) -> dict[str, Any]:
        """Say, to an auditor, which claims of an erasure's certificate hold now: `holds`, and `claims` one by one.

        Args:
            certificate: As :meth:`erase` returned it, or its JSON.
            canaries: As in :meth:`erase`.

        Raises:
            Refused: This subject may not audit what was erased.
            InvalidInput: It is no certificate.
        """
        text = (
            certificate if isinstance(certificate, str | bytes) else certificates.canonical(dict(certificate))
        )
        sought = [each.encode() if isinstance(each, str) else each for each in canaries]
        return self.__door.verify_erasure(self.__subject, certificates.parsed(text), canaries=sought)

    def __resolved(self, found: str | Hit | Document, at: str | None = None) -> str:
        """Return an id; a path is looked up among the subject's own readable documents."""
        text = _object_id(found)
        if is_opaque(text):
            return text
        ids = [
            document.id
            for document in listing.documents(self.__door, self.__subject, at=at)
            if document.path == text
        ]
        if len(ids) > 1:
            raise InvalidInput(
                f"{text!r}: found {len(ids)} readable documents of this path; expected one; use an id: {', '.join(ids)}"
            )
        return ids[0] if ids else text


def _object_id(found: str | Hit | Document) -> str:
    text = found if isinstance(found, str) else getattr(found, "id", None)
    if not isinstance(text, str) or len(text) > OBJECT_CHARACTERS_MAX:
        raise InvalidInput("object: expected the id of a document or passage, a hit or a document")
    return text
