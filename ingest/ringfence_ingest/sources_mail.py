"""Read the mails of an mbox or a maildir, alone or inside a folder source.

Promise: each mail is a document of its own, named so that a later run finds
it again; its label comes from the mailbox: globs are compared with the
mailbox's path, and the mode is the mailbox's file. In a maildir globs are
compared with the mail's name too, and the mode is the mail's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ringfence_governance.drafts import SourceIdentity, plain_path
from ringfence_governance.errors import InvalidInput

from .beneath import modes_above, open_file, open_folder, read_whole, too_large
from .documents import Loaded, SourceItem, SourceTrouble
from .errors import FileTrouble
from .folder_walk import shown_path
from .label_files import FILE_NAME, LabelFile
from .limits import BYTES_MAX
from .mailboxes import Mail, split_mbox, without_status_lines
from .media_types import MAIL
from .posix_labels import Mode

MISPLACED = (
    f"found a {FILE_NAME} among the mails, which move from folder to folder; expected it in the maildir's own "
    "folder or above; move it there"
)


@dataclass(frozen=True, slots=True)
class MailSettings:
    """What all mails of one mailbox share.

    Args:
        rule_path: The mailbox's path, which globs are compared with.
        above: Modes of the folders above the source's root.
        label_files: Gives the label files that apply to the mailbox; a maildir's own among them.
        bytes_max: Largest single mail.
        prefix: Path the mails' names are put behind; empty for a mailbox that is the source.
    """

    rule_path: str
    above: tuple[Mode, ...]
    label_files: Callable[[], tuple[LabelFile, ...]]
    bytes_max: int
    prefix: str | None = None

    def path_of(self, key: str) -> str:
        """Return a mail's path in the source."""
        prefix = self.rule_path if self.prefix is None else self.prefix
        return f"{prefix}/{key}" if prefix else key


class MailboxSource:
    """One mbox or one maildir as a source; the `.ringfence.yaml` beside it is the root's.

    Args:
        root: The folder it lies in, absolute, without links.
        name: Its name there.
        kind: `mbox` or `maildir`.
        label_files: Gives the label files that apply to it.
        bytes_max: Largest single mail; larger ones are reported.
    """

    def __init__(
        self,
        root: Path,
        name: str,
        kind: str,
        label_files: Callable[[], tuple[LabelFile, ...]],
        *,
        bytes_max: int = BYTES_MAX,
    ) -> None:
        self._root = root
        self._name = name
        self._kind = kind
        self._label_files = label_files
        self._bytes_max = bytes_max
        label_files()

    @property
    def identity(self) -> SourceIdentity:
        """The mailbox's absolute place."""
        return SourceIdentity((self._root / self._name).as_uri(), self._kind)

    def __repr__(self) -> str:
        return f"MailboxSource({str(self._root / self._name)!r})"

    def items(self) -> Iterator[SourceItem | SourceTrouble]:
        """Yield the mails."""
        above = modes_above(self._root)
        settings = MailSettings(self._name, above, self._label_files, self._bytes_max, prefix="")
        read = mbox_items if self._kind == "mbox" else maildir_items
        yield from read(self._root, self._name, settings)


def mbox_items(root: Path, path: str, settings: MailSettings) -> Iterator[SourceItem | SourceTrouble]:
    """Yield the mails of the mbox at `path` beneath `root`, in its order."""
    try:
        with open_file(root, path) as opened:
            loaded = Loaded(b"", opened.modified, opened.facts(settings.above))
            count = 0
            for mail in split_mbox(opened.file, settings.bytes_max):
                count += 1
                yield _mbox_item(mail, loaded, settings)
            if not count:
                yield SourceTrouble(path, *_no_mail(opened.size), is_defect=opened.size > 0)
    except FileTrouble as error:
        yield SourceTrouble(path, str(error), hides_documents=True)
    except OSError:
        reason = "found an mbox that cannot be read to its end; expected a readable file; look at the disk"
        yield SourceTrouble(path, reason, hides_documents=True)


def _no_mail(size: int) -> tuple[str, bool]:
    if not size:
        return "found an empty mailbox; expected mails; nothing to do", False
    return (
        f"found {size} bytes and no mail; expected lines that start with 'From ' (mbox); "
        "give it another ending if it is no mailbox",
        True,
    )


def _mbox_item(mail: Mail, mailbox: Loaded, settings: MailSettings) -> SourceItem:
    def load(bytes_max: int) -> Loaded:
        if mail.content is None or len(mail.content) > bytes_max:
            raise too_large(mail.size, min(bytes_max, settings.bytes_max))
        # The mailbox's time is not the mail's: it changes whenever any mail comes.
        return replace(mailbox, content=mail.content, modified=None)

    return _mail_item(settings.path_of(mail.key), load, settings)


def maildir_items(root: Path, path: str, settings: MailSettings) -> Iterator[SourceItem | SourceTrouble]:
    """Yield the mails of the maildir at `path` beneath `root`, by their unique names."""
    found: list[tuple[str, str]] = []
    for inner in ("cur", "new"):
        folder = f"{path}/{inner}"
        try:
            with open_folder(root, folder) as descriptor:
                entries = [entry.name for entry in os.scandir(descriptor)]
        except FileTrouble as error:
            yield SourceTrouble(folder, str(error), hides_documents=True)
            continue
        if FILE_NAME in entries:
            yield SourceTrouble(f"{folder}/{FILE_NAME}", MISPLACED, hides_documents=True)
            continue
        names = [name for name in entries if not name.startswith(".")]
        # The unique part stays when a mail is read, moved or flagged; what follows ':' does not.
        found += [(name.partition(":")[0], f"{folder}/{name}") for name in names]
    for key, file in sorted(found):
        try:
            mail_path = plain_path(settings.path_of(key))
        except InvalidInput as error:
            yield SourceTrouble(shown_path(file), str(error), hides_documents=True)
            continue
        own_paths = (f"{path}/{key}", file)
        yield _mail_item(mail_path, partial(_load_maildir_mail, root, file, settings), settings, own_paths)


def _load_maildir_mail(root: Path, file: str, settings: MailSettings, bytes_max: int) -> Loaded:
    with open_file(root, file) as opened:
        content = read_whole(opened, min(bytes_max, settings.bytes_max))
        return Loaded(without_status_lines(content), opened.modified, opened.facts(settings.above))


def _mail_item(
    path: str, load: Callable[[int], Loaded], settings: MailSettings, own_paths: tuple[str, ...] = ()
) -> SourceItem:
    return SourceItem(
        path=path,
        load=load,
        media_type=MAIL,
        rule_path=settings.rule_path,
        own_paths=own_paths,
        label_files=settings.label_files,
        is_mail=True,
    )
