"""Turn a grant into one over the rows of an earlier time, under the rights of now.

Promise: a row of then is covered only if the label it had then, the label
that writing of its document had last and the label the document has now are
all readable now, and the document is still there.
No row from before the newest erasure is.

Source: DESIGN.md §7, `at=`; docs/decisions/0020-reading-an-earlier-time.md.
"""

from __future__ import annotations

from dataclasses import replace

from . import erasure_ledger, publications, rows
from .errors import Gone, InvalidInput, StoreError
from .grants import Grant
from .ground import Ground
from .keyrings import Standing
from .publications import Publication


def opened(ground: Ground, grant: Grant) -> Grant:
    """Return a grant over the rows as they were published at the time a grant asks for; itself if that is now.

    Args:
        grant: To read, over the newest publication. What is returned is to be withdrawn as it is.

    Raises:
        InvalidInput: The time is to come.
        Gone: What stood then is not kept any more, or nothing stood yet.
    """
    if not grant.at:
        return grant
    if grant.at > grant.now:
        raise InvalidInput(
            f"at: found {grant.at!r}, which is to come; expected a time until now, {grant.now}; "
            "leave it out to ask of now"
        )
    with ground.catalog.read() as connection:
        then = publications.newest_until(connection, ground.catalog.sequence_at(connection, grant.at))
        horizon = erasure_ledger.version(connection)
    if then is not None and then.sequence >= grant.publication.sequence:
        return grant
    if then is None or then.sequence <= horizon or not _kept(ground, then):
        raise Gone(grant.at)
    standing = _standing(ground, grant)
    # Once more: keys of replaced writings go after the versions that show them.
    if not _kept(ground, then):
        raise Gone(grant.at)
    return ground.issued.add(replace(grant, publication=then, standing=standing))


def _standing(ground: Ground, grant: Grant) -> Standing:
    """Return how everything stands now that a grant covers.

    A text that was replaced is under the label it had last, whatever it had before: a relabelling that took it from
    somebody is not undone by writing the document anew.
    """
    documents = {document_id: (atom, run_id) for atom, document_id, run_id in rows.run_ids(ground, grant)}
    replaced = {
        (name.document_id, name.run_id): name.former
        for name in ground.keys.names(replaced=True)
        if name.former in grant.atoms and documents.get(name.document_id, (None,))[0] == name.atom
    }
    return Standing(documents, replaced)


def went(ground: Ground, grant: Grant, error: Exception) -> bool:
    """Say whether an error of a read is that what it reads was removed meanwhile."""
    return (
        isinstance(error, StoreError) and grant.standing is not None and not _kept(ground, grant.publication)
    )


def _kept(ground: Ground, publication: Publication) -> bool:
    return all(ground.tables.holds(name, version) for name, version in publication.versions.items())
