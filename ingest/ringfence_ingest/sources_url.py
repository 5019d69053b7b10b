"""Read the files of any fsspec filesystem as a source: object stores, archives, memory.

Promise: names are checked before they are used; the source is called by its
address without its credentials. There are no permissions to take labels from,
so without `.ringfence.yaml` or an explicit label everything is the ingester's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, partial
from typing import Any

import fsspec

from ringfence_governance.drafts import SourceIdentity, plain_path
from ringfence_governance.errors import InvalidInput

from .beneath import time_text, too_large
from .documents import Loaded, SourceItem, SourceTrouble
from .errors import FileTrouble, LabelFileRefused, SourceRefused
from .folder_walk import MBOX_ENDINGS, shown_path
from .label_files import FILE_NAME, LabelFile, parse_label_file
from .limits import BYTES_MAX, LABEL_FILE_BYTES_MAX
from .mailboxes import Mail, split_mbox
from .media_types import MAIL, media_type_of_path
from .selection import Selection

CHAINED = "::"
"""Stands between the addresses of a chain, as in `zip://a.txt::s3://bucket/b.zip`."""

_AFTER_PATH = re.compile("[?#]")
_PARAMETERS = re.compile(";[^/]*")
_NO_PORT = re.compile(r":(?!\d*$)")


class UrlSource:
    """Everything wanted beneath an fsspec address, or one file.

    Args:
        url: Such as `s3://bucket/folder` or `memory://notes`.
        selection: What is wanted; by default all but names that start with a dot.
        bytes_max: Largest single mail of an mbox; larger ones are reported.

    Raises:
        SourceRefused: The address's kind is unknown, its package is missing, or there is nothing there.
        LabelFileRefused: The root's `.ringfence.yaml` is malformed.
    """

    def __init__(self, url: str, selection: Selection | None = None, *, bytes_max: int = BYTES_MAX) -> None:
        self._url = without_credentials(url)
        self._files, root = _filesystem(url, self._url)
        self._selection = selection if selection is not None else Selection()
        self._bytes_max = bytes_max
        self._single = ""
        self._root = root.rstrip("/")
        if self._exists_as_file(root):
            self._root, _, self._single = root.rpartition("/")
        elif not self._files.exists(root):
            raise SourceRefused(f"source: found nothing at {self._url!r}; expected files; check the address")
        self._labels = cache(self._read_labels)
        self._labels("")

    @property
    def identity(self) -> SourceIdentity:
        """The address without credentials."""
        return SourceIdentity(self._url, "url")

    def __repr__(self) -> str:
        return f"UrlSource({self._url!r})"

    def items(self) -> Iterator[SourceItem | SourceTrouble]:
        """Yield the files by name, and the mails of each mbox."""
        for name, detail in self._listed():
            try:
                path = plain_path(name)
            except InvalidInput as error:
                yield SourceTrouble(shown_path(name), str(error), hides_documents=True)
                continue
            if self._single or self._selection.wants_path(path):
                yield from self._items_of(path, detail)

    def _listed(self) -> list[tuple[str, dict[str, Any]]]:
        if self._single:
            return [(self._single, self._files.info(f"{self._root}/{self._single}"))]
        found = self._files.find(self._root, detail=True)
        prefix = f"{self._root}/" if self._root else ""
        return sorted((name.removeprefix(prefix).lstrip("/"), detail) for name, detail in found.items())

    def _items_of(self, path: str, detail: dict[str, Any]) -> Iterator[SourceItem | SourceTrouble]:
        if path.endswith(MBOX_ENDINGS):
            yield from self._mails(path)
            return
        yield SourceItem(
            path=path,
            load=lambda bytes_max: self._load(path, detail, bytes_max),
            label_files=partial(self._label_files, path),
            is_mail=media_type_of_path(path) == MAIL,
        )

    def _mails(self, path: str) -> Iterator[SourceItem | SourceTrouble]:
        try:
            with self._files.open(f"{self._root}/{path}", "rb") as file:
                for mail in split_mbox(file, self._bytes_max):
                    yield self._mail_item(path, mail)
        except OSError as error:
            yield SourceTrouble(path, str(_unreadable(error)), hides_documents=True)

    def _mail_item(self, path: str, mail: Mail) -> SourceItem:
        def load(bytes_max: int) -> Loaded:
            if mail.content is None or len(mail.content) > bytes_max:
                raise too_large(mail.size, min(bytes_max, self._bytes_max))
            return Loaded(mail.content)

        return SourceItem(
            path=f"{path}/{mail.key}",
            load=load,
            media_type=MAIL,
            rule_path=path,
            label_files=partial(self._label_files, path),
            is_mail=True,
        )

    def _load(self, path: str, detail: dict[str, Any], bytes_max: int) -> Loaded:
        size = detail.get("size")
        if isinstance(size, int) and size > bytes_max:
            raise too_large(size, bytes_max)
        try:
            with self._files.open(f"{self._root}/{path}", "rb") as file:
                content = file.read(bytes_max + 1)
        except OSError as error:
            raise _unreadable(error) from None
        if len(content) > bytes_max:
            raise too_large(len(content), bytes_max)
        return Loaded(bytes(content), modified=_modified(detail))

    def _label_files(self, path: str) -> tuple[LabelFile, ...]:
        parts = path.split("/")[:-1]
        folders = ["", *("/".join(parts[:count]) for count in range(1, len(parts) + 1))]
        return tuple(file for file in map(self._labels, folders) if file is not None)

    def _read_labels(self, folder: str) -> LabelFile | None:
        path = f"{folder}/{FILE_NAME}" if folder else FILE_NAME
        try:
            with self._files.open(f"{self._root}/{path}", "rb") as file:
                return parse_label_file(file.read(LABEL_FILE_BYTES_MAX + 1), folder)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LabelFileRefused(f"{path}: {_unreadable(error)}") from None

    def _exists_as_file(self, root: str) -> bool:
        return bool(self._files.isfile(root))


def without_credentials(url: str) -> str:
    """Return an address, or a chain of them, without user, password, parameters and query.

    Raises:
        SourceRefused: It is not clear where its credentials begin and end.
    """
    return CHAINED.join(_without_secrets(part, url) for part in url.split(CHAINED))


def _without_secrets(part: str, url: str) -> str:
    kind, separator, rest = part.partition("://")
    if not separator:
        kind, rest = "", part
    authority, slash, path = rest.partition("/")
    secrets, at, host = authority.rpartition("@") if separator else ("", "", authority)
    # What two programs would divide in two ways: a mark that ends the address before its last '@', or a '@' to come
    # after what looks like a user and the beginning of his password.
    if (
        any(mark in secrets for mark in "?#;")
        or (not separator and "@" in authority)
        or (not at and "@" in url and _NO_PORT.search(host))
    ):
        raise SourceRefused(
            "source: found an address whose user and password cannot be told from the rest; expected "
            "kind://user:password@host/path; write '/', '?', '#', ';', ':' and '@' in them as %2F, %3F, %23, %3B, "
            "%3A and %40, or leave the credentials to the kind's own settings"
        )
    shown = _AFTER_PATH.split(f"{host}{slash}{path}")[0]
    return f"{kind}{separator}{_PARAMETERS.sub('', shown)}"


def _filesystem(url: str, shown: str) -> tuple[Any, str]:
    try:
        files, root = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise SourceRefused(
            f"source: found {shown!r}, which fsspec cannot open ({type(error).__name__}); expected an address such "
            "as s3://bucket/folder; check its first word, and install the package for it"
        ) from None
    return files, str(root)


def _unreadable(error: OSError) -> FileTrouble:
    return FileTrouble(
        f"{type(error).__name__} from the filesystem",
        "a readable file",
        "check its permissions and the connection",
    )


def _modified(detail: dict[str, Any]) -> str | None:
    value = detail.get("mtime") or detail.get("LastModified") or detail.get("created")
    timestamp = getattr(value, "timestamp", None)
    if callable(timestamp):
        return time_text(timestamp())
    return time_text(value) if isinstance(value, int | float) else None
