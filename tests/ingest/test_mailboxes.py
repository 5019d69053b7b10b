from __future__ import annotations

import io
import mailbox
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence_governance.labels import Label
from ringfence_ingest.documents import SourceItem
from ringfence_ingest.mailboxes import is_mbox, split_mbox, without_status_lines
from ringfence_ingest.sources import open_source
from ringfence_ingest.summary import Summary

FROM = "From carl@acme.example Mon Nov  2 10:00:00 2026"


def mail(subject: str, body: str = "hello", *, number: int = 1, extra: str = "") -> str:
    return (
        f"{FROM}\nMessage-ID: <{number}@acme.example>\nFrom: carl@acme.example\nTo: ada@acme.example\n"
        f"Subject: {subject}\n{extra}\n{body}\n\n"
    )


def keys(text: str) -> list[str]:
    return [each.key for each in split_mbox(io.BytesIO(text.encode()), 10_000)]


def test_an_mbox_is_split_at_its_from_lines() -> None:
    text = mail("one", "a\nFrom the desk of\nb") + mail("two", number=2)
    found = [each.content for each in split_mbox(io.BytesIO(text.encode()), 10_000)]
    assert len(found) == 2
    assert found[0] is not None
    assert found[0].endswith(b"\na\nFrom the desk of\nb\n")


@given(st.lists(st.text(alphabet="abc\n>F:\u00e9 ", max_size=40), max_size=6))
def test_splitting_equals_the_standard_librarys(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[str]
) -> None:
    path = tmp_path_factory.mktemp("mbox") / "box"
    box = mailbox.mbox(path)
    for number, body in enumerate(bodies):
        box.add(f"Subject: {number}\n\n{body}".encode())
    box.close()
    box = mailbox.mbox(path, create=False)
    expected = [box.get_bytes(key) for key in box.iterkeys()]
    box.close()
    with path.open("rb") as file:
        found = [each.content for each in split_mbox(file, 10_000)]
    assert [content and content.rstrip(b"\n") for content in found] == [e.rstrip(b"\n") for e in expected]


def test_a_mails_name_does_not_depend_on_its_place_or_status() -> None:
    one, two = mail("one"), mail("two", number=2)
    read = mail("one", extra="Status: RO\nX-Status: A\n\tfolded\nX-Keywords: x\n")
    assert keys(one + two) == list(reversed(keys(two + one)))
    assert keys(read + two) == keys(one + two)
    assert keys(mail("one", "other")) != keys(one)


def test_status_words_in_the_body_stay() -> None:
    content = b"Subject: x\nStatus: RO\n\nStatus: RO\nbody\n"
    assert without_status_lines(content) == b"Subject: x\n\nStatus: RO\nbody\n"
    assert without_status_lines(b"Status: RO\n\nbody") == b"\nbody"


def test_two_mails_of_one_message_id_are_two_documents() -> None:
    first, second, third = keys(mail("a", "one copy") + mail("a", "another copy") + mail("a", "one copy"))
    assert first != second
    assert third == f"{first}-2"


def test_a_mail_beyond_the_bound_comes_without_content() -> None:
    text = mail("small") + mail("large", "x" * 500, number=2) + mail("small too", number=3)
    found = list(split_mbox(io.BytesIO(text.encode()), 300))
    assert [each.content is None for each in found] == [False, True, False]
    assert found[1].size > 500


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (FROM.encode(), True),
        (b"From MAILER-DAEMON Fri Jul  8 12:08:34 2011", True),
        (b"From the desk of Ada", False),
        (b"From: ada@acme.example", False),
        (b"", False),
    ],
)
def test_an_mbox_is_known_by_its_first_line(line: bytes, expected: bool) -> None:
    assert is_mbox(line) == expected


def write_maildir(folder: Path) -> None:
    for name in ("cur", "new", "tmp"):
        (folder / name).mkdir(parents=True)
    (folder / "new" / "2.x.host").write_text("Subject: two\nTo: ada@acme.example\n\nsecond\n")
    (folder / "cur" / "1.x.host:2,S").write_text("Subject: one\nTo: ada@acme.example\n\nfirst\n")
    (folder / "tmp" / "3.x.host").write_text("Subject: three\n\nhalf written\n")


def test_each_mail_of_a_folders_mailboxes_is_a_document(
    folder: Path, door: object, run: Callable[..., Summary]
) -> None:
    (folder / "mail").mkdir()
    (folder / "mail" / "carl.mbox").write_text(mail("one") + mail("two", number=2))
    (folder / "mail" / "Inbox").write_text(mail("three", number=3))
    write_maildir(folder / "mail" / "ada")
    write_maildir(folder / "mail" / "ada" / ".Sent")
    summary = run(folder)
    assert summary.complete
    documents = door.documents()  # type: ignore[attr-defined]
    prefixes = sorted(path.rpartition("/")[0] for path in documents)
    assert prefixes == ["mail/Inbox"] + ["mail/ada"] * 2 + ["mail/ada/.Sent"] * 2 + ["mail/carl.mbox"] * 2
    assert {path for path in documents if path.startswith("mail/ada/") and "Sent" not in path} == {
        "mail/ada/1.x.host",
        "mail/ada/2.x.host",
    }
    assert documents["mail/ada/1.x.host"].title == "one"
    assert documents["mail/ada/1.x.host"].media_type == "message/rfc822"
    assert run(folder).unchanged == 7


def test_a_mail_moved_or_flagged_in_its_maildir_is_unchanged(
    folder: Path, run: Callable[..., Summary]
) -> None:
    write_maildir(folder / "box")
    assert run(folder).added == 2
    os.rename(folder / "box/new/2.x.host", folder / "box/cur/2.x.host:2,RS")
    os.rename(folder / "box/cur/1.x.host:2,S", folder / "box/cur/1.x.host:2,FS")
    summary = run(folder)
    assert (summary.added, summary.changed, summary.unchanged) == (0, 0, 2)


PUBLIC = "version: 1\nrules: [{glob: '**', owner: acme/user:carl, readers: ['*']}]\n"


@pytest.mark.parametrize("glob", ["**", "*", "1.x.host", "cur/*"])
def test_a_label_file_in_a_maildir_narrows_its_mails(
    folder: Path, door: object, run: Callable[..., Summary], glob: str
) -> None:
    (folder / ".ringfence.yaml").write_text(PUBLIC)
    write_maildir(folder / "ada")
    (folder / "ada" / ".ringfence.yaml").write_text(f"version: 1\nrules: [{{glob: '{glob}', readers: []}}]\n")
    private = Label("acme", "acme/user:carl")
    assert run(folder).added == 2
    assert door.label_of("ada/1.x.host") == private  # type: ignore[attr-defined]
    assert run(folder / "ada").refused == ()
    assert door.label_of("1.x.host") == private  # type: ignore[attr-defined]


def test_a_label_file_in_a_maildir_cannot_widen(folder: Path, run: Callable[..., Summary]) -> None:
    write_maildir(folder / "ada")
    (folder / "ada" / ".ringfence.yaml").write_text(PUBLIC)
    for source in (folder, folder / "ada"):
        summary = run(source)
        assert summary.added == 0
        assert len(summary.failed) + len(summary.refused) == 2


def test_a_rule_for_all_beneath_a_maildir_is_for_its_mails(
    folder: Path, door: object, run: Callable[..., Summary]
) -> None:
    rules = "[{glob: 'ada/**', owner: acme/user:ada}, {glob: '**', owner: acme/user:carl, readers: ['*']}]"
    (folder / ".ringfence.yaml").write_text(f"version: 1\nrules: {rules}\n")
    write_maildir(folder / "ada")
    assert run(folder).added == 2
    assert door.label_of("ada/1.x.host") == Label("acme", "acme/user:ada")  # type: ignore[attr-defined]


@pytest.mark.parametrize("inner", ["cur", "new"])
def test_a_label_file_among_the_mails_is_reported_and_they_are_not_read(
    folder: Path, door: object, run: Callable[..., Summary], inner: str
) -> None:
    (folder / ".ringfence.yaml").write_text(PUBLIC)
    write_maildir(folder / "ada")
    (folder / "ada" / inner / ".ringfence.yaml").write_text(
        "version: 1\nrules: [{glob: '**', readers: []}]\n"
    )
    summary = run(folder)
    assert (summary.added, summary.complete) == (1, False)
    (report,) = summary.failed
    assert report.path == f"ada/{inner}/.ringfence.yaml"
    assert "move it there" in report.reason


def test_a_mailbox_alone_is_a_source(folder: Path, door: object, run: Callable[..., Summary]) -> None:
    (folder / "carl.mbox").write_text(mail("one"))
    (folder / ".ringfence.yaml").write_text(
        "version: 1\nrules: [{glob: carl.mbox, owner: acme/user:carl, readers: [], headers: readers}]\n"
        "mail: {domains: {acme.example: acme}}\n"
    )
    write_maildir(folder / "ada")
    assert open_source(folder / "carl.mbox").identity.kind == "mbox"
    assert open_source(folder / "ada").identity.kind == "maildir"
    assert run(folder / "carl.mbox").added == 1
    (path,) = door.documents()  # type: ignore[attr-defined]
    label = door.label_of(path)  # type: ignore[attr-defined]
    assert label == Label("acme", "acme/user:carl", frozenset({"acme/user:ada", "acme/user:carl"}))
    assert run(folder / "ada").added == 2


def test_each_mail_has_the_readers_of_its_own_headers(
    folder: Path, door: object, run: Callable[..., Summary]
) -> None:
    (folder / "carl.mbox").write_text(
        mail("to ada") + mail("alone", number=2).replace("ada@acme", "carl@acme")
    )
    (folder / "note.eml").write_text("From: dora@acme.example\nSubject: note\n\nhello\n")
    (folder / ".ringfence.yaml").write_text(
        "version: 1\nrules: [{glob: '**', owner: acme/user:carl, readers: [], headers: readers}]\n"
        "mail: {domains: {acme.example: acme}}\n"
    )
    run(folder)
    by_title = {
        draft.title: door.label_of(path).readers  # type: ignore[attr-defined]
        for path, draft in door.documents().items()  # type: ignore[attr-defined]
    }
    assert by_title == {
        "to ada": {"acme/user:ada", "acme/user:carl"},
        "alone": {"acme/user:carl"},
        "note": {"acme/user:dora"},
    }


def test_an_unreadable_mailbox_hides_its_mails_so_none_is_removed(
    folder: Path, door: object, run: Callable[..., Summary]
) -> None:
    (folder / "a.txt").write_text("text")
    (folder / "box.mbox").write_text(mail("one"))
    assert run(folder).added == 2
    (folder / "box.mbox").unlink()
    os.mkfifo(folder / "box.mbox")
    (folder / "a.txt").unlink()
    summary = run(folder, remove_vanished=True)
    assert summary.removed == 0
    assert "2 stored documents that were not seen" in summary.notes[0]
    assert "nothing was removed" in summary.notes[0]


def test_mails_of_a_mailbox_that_is_no_longer_recognised_are_not_removed(
    folder: Path, run: Callable[..., Summary]
) -> None:
    (folder / "Inbox").write_text(mail("one"))
    (folder / "a.txt").write_text("text")
    assert run(folder).added == 2
    (folder / "Inbox").unlink()
    os.mkfifo(folder / "Inbox")
    (folder / "a.txt").unlink()
    assert run(folder, remove_vanished=True).removed == 1


def test_an_mbox_without_a_mail_is_reported(folder: Path, run: Callable[..., Summary]) -> None:
    (folder / "a.mbox").write_text("just text\n")
    (folder / "b.mbox").write_text("")
    summary = run(folder)
    assert [report.path for report in summary.failed] == ["a.mbox"]
    assert "found 10 bytes and no mail" in summary.failed[0].reason
    assert [report.path for report in summary.skipped] == ["b.mbox"]


def test_a_mailbox_of_many_mails_is_not_held_in_memory(folder: Path) -> None:
    with (folder / "big.mbox").open("w") as file:
        for number in range(2000):
            file.write(mail(f"{number}", "x" * 200, number=number))
    source = open_source(folder / "big.mbox")
    assert sum(isinstance(item, SourceItem) for item in source.items()) == 2000
