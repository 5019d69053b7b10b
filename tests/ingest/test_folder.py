from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ringfence_governance.labels import Label
from ringfence_ingest.beneath import Opened
from ringfence_ingest.documents import SourceItem, SourceTrouble
from ringfence_ingest.errors import FileTrouble, LabelFileRefused, SourceRefused
from ringfence_ingest.posix_labels import Mode, PosixFacts
from ringfence_ingest.selection import Selection
from ringfence_ingest.sources_folder import FileSource, FolderSource
from ringfence_ingest.summary import Summary

STRANGER = 12345
"""The number of an account that is not ours."""


def fill(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"content of {name}")


def items(folder: Path, *include: str, exclude: tuple[str, ...] = (), hidden: bool = False) -> list[str]:
    source = FolderSource(folder, Selection.of(include, exclude, hidden=hidden))
    return [item.path for item in source.items() if isinstance(item, SourceItem)]


def troubles(folder: Path) -> dict[str, SourceTrouble]:
    return {item.path: item for item in FolderSource(folder).items() if isinstance(item, SourceTrouble)}


def test_a_folder_is_walked_in_one_order_with_files_before_folders(folder: Path) -> None:
    fill(folder, "b.md", "a/z.txt", "a/b/c.txt", "c/d.txt", "A.txt")
    assert items(folder) == ["A.txt", "b.md", "a/z.txt", "a/b/c.txt", "c/d.txt"]
    assert items(folder) == items(folder)


def test_include_and_exclude_are_globs_from_the_root(folder: Path) -> None:
    fill(folder, "a.md", "x/b.md", "x/c.txt", "old/d.md", "old/e/f.md")
    assert items(folder, "**/*.md") == ["a.md", "old/d.md", "old/e/f.md", "x/b.md"]
    assert items(folder, "*.md") == ["a.md"]
    assert items(folder, "**/*.md", exclude=("old",)) == ["a.md", "x/b.md"]
    assert items(folder, exclude=("**/*.md",)) == ["x/c.txt"]


def test_names_that_start_with_a_dot_are_left_out_unless_asked(folder: Path) -> None:
    fill(folder, ".env", ".git/config", "a.md", ".ringfence.yaml")
    (folder / ".ringfence.yaml").write_text("version: 1")
    assert items(folder) == ["a.md"]
    assert items(folder, hidden=True) == [".env", "a.md", ".git/config"]


def test_the_identity_is_the_real_place(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    assert FolderSource(tmp_path / "link").identity == FolderSource(folder).identity
    assert FolderSource(folder).identity.uri == folder.as_uri()


def test_a_missing_folder_is_refused(folder: Path) -> None:
    with pytest.raises(SourceRefused, match="leads nowhere"):
        FolderSource(folder / "none")
    fill(folder, "a.md")
    with pytest.raises(SourceRefused, match="no folder"):
        FolderSource(folder / "a.md")


def test_a_symlink_loop_is_reported_and_not_followed(folder: Path) -> None:
    (folder / "loop").symlink_to("loop")
    (folder / "up").symlink_to(folder)
    fill(folder, "a.md")
    found = troubles(folder)
    assert items(folder) == ["a.md"]
    assert found["loop"].reason.startswith("found a symbolic link that leads to itself; expected files of")
    assert found["up"].reason.startswith("found a symbolic link within the source")


def test_a_symlink_out_of_the_source_is_reported_and_not_read(folder: Path, tmp_path: Path) -> None:
    fill(tmp_path, "secret.txt")
    (folder / "file").symlink_to(tmp_path / "secret.txt")
    (folder / "all").symlink_to(tmp_path)
    (folder / "gone").symlink_to(tmp_path / "gone")
    found = troubles(folder)
    assert items(folder) == []
    assert all(trouble.is_defect for trouble in found.values())
    assert found["file"].reason == (
        "found a symbolic link out of the source; expected files of the source itself; "
        "links are never followed: copy it, or exclude it"
    )
    assert "out of the source" in found["all"].reason
    assert "a symbolic link to nothing" in found["gone"].reason


def test_a_symlink_within_the_source_gives_no_second_name_with_a_wider_label(folder: Path) -> None:
    fill(folder, "hr/pay.md")
    (folder / "public").mkdir()
    (folder / "public" / "pay.md").symlink_to("../hr/pay.md")
    assert items(folder) == ["hr/pay.md"]
    assert not troubles(folder)["public/pay.md"].is_defect


def test_a_folder_swapped_for_a_link_after_the_walk_is_not_followed(folder: Path, tmp_path: Path) -> None:
    fill(folder, "in/a.txt")
    fill(tmp_path / "outside", "a.txt")
    (item,) = [item for item in FolderSource(folder).items() if isinstance(item, SourceItem)]
    (folder / "in" / "a.txt").unlink()
    (folder / "in").rmdir()
    (folder / "in").symlink_to(tmp_path / "outside")
    with pytest.raises(FileTrouble, match="found a symbolic link"):
        item.load(1000)


def test_a_file_swapped_for_a_link_after_the_walk_is_not_followed(folder: Path, tmp_path: Path) -> None:
    fill(folder, "a.txt")
    fill(tmp_path, "secret.txt")
    (item,) = [item for item in FolderSource(folder).items() if isinstance(item, SourceItem)]
    (folder / "a.txt").unlink()
    (folder / "a.txt").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(FileTrouble, match="found a symbolic link"):
        item.load(1000)


def test_a_pipe_never_blocks(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (item,) = [item for item in FolderSource(folder).items() if isinstance(item, SourceItem)]
    with pytest.raises(FileTrouble, match="a pipe, device or socket"):
        item.load(1000)


@pytest.mark.skipif(
    sys.platform == "darwin",
    reason="macOS has no file whose name is not UTF-8: its file systems refuse to make one",
)
def test_a_name_that_is_no_text_or_not_plain_is_reported(folder: Path) -> None:
    for name in (b"caf\xe9.md", b"a\\b.md", b"a\nb.md"):
        with open(os.path.join(os.fsencode(folder), name), "wb") as file:
            file.write(b"x")
    found = troubles(folder)
    assert len(found) == 3
    assert items(folder) == []
    for trouble in found.values():
        assert "rename it" in trouble.reason
        trouble.path.encode("utf-8")
        assert "\n" not in trouble.path


@pytest.fixture
def as_nobody() -> Iterator[None]:
    """Be an account that may read nothing of ours, where we are root; else we are one already."""
    if os.geteuid() != 0:
        yield
        return
    groups = os.getgroups()
    os.setgroups([])
    os.setegid(65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other accounts can come to; pytest's own lies in one of mode 0700."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name).resolve()


@pytest.fixture
def unreadable(open_folder: Path) -> Iterator[Path]:
    fill(open_folder, "a.md", "closed/b.md", "open/c.md")
    (open_folder / "a.md").chmod(0)
    (open_folder / "closed").chmod(0)
    yield open_folder
    (open_folder / "closed").chmod(0o700)


def test_unreadable_files_and_folders_are_reported(unreadable: Path, as_nobody: None) -> None:
    found = troubles(unreadable)
    assert found["closed"].hides_documents
    assert "no permission to read it" in found["closed"].reason
    by_path = {item.path: item for item in FolderSource(unreadable).items() if isinstance(item, SourceItem)}
    assert set(by_path) == {"a.md", "open/c.md"}
    with pytest.raises(FileTrouble, match="found no permission to read it"):
        by_path["a.md"].load(1000)


def test_label_files_are_looked_for_up_to_the_root_and_not_above(folder: Path, tmp_path: Path) -> None:
    (tmp_path / ".ringfence.yaml").write_text("version: 1\nrules: [{glob: '**', readers: ['*']}]")
    fill(folder, "a/b/c.md")
    (folder / "a" / ".ringfence.yaml").write_text("version: 1\nrules: [{glob: '**', level: 1}]")
    (item,) = [item for item in FolderSource(folder).items() if isinstance(item, SourceItem)]
    assert [file.folder for file in item.label_files()] == ["a"]
    (folder / ".ringfence.yaml").write_text("version: 1")
    (item,) = [item for item in FolderSource(folder).items() if isinstance(item, SourceItem)]
    assert [file.folder for file in item.label_files()] == ["", "a"]


def test_a_malformed_root_file_stops_before_anything_is_read(folder: Path) -> None:
    (folder / ".ringfence.yaml").write_text("version: 1\nrulez: []")
    with pytest.raises(LabelFileRefused, match="found unknown 'rulez'"):
        FolderSource(folder)
    fill(folder, "a.md")
    with pytest.raises(LabelFileRefused, match="found unknown 'rulez'"):
        FileSource(folder / "a.md")


def test_a_label_file_anybody_could_have_written_is_refused(folder: Path) -> None:
    file = folder / ".ringfence.yaml"
    file.write_text("version: 1")
    file.chmod(0o646)
    with pytest.raises(LabelFileRefused, match="every account may write"):
        FolderSource(folder)
    file.chmod(0o664)
    FolderSource(folder)


def give_away(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a file to another account; where only root can, and we are not root, its mode is told so."""
    if os.geteuid() == 0:
        os.chown(file, STRANGER, STRANGER)
        return
    real = Opened.facts

    def facts(opened: Opened, above: tuple[Mode, ...]) -> PosixFacts:
        found = real(opened, above)
        return replace(found, file=replace(found.file, uid=STRANGER))

    monkeypatch.setattr(Opened, "facts", facts)


def test_a_label_file_planted_in_a_shared_folder_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = folder / ".ringfence.yaml"
    file.write_text("version: 1")
    folder.chmod(0o1777)
    FolderSource(folder)
    give_away(file, monkeypatch)
    with pytest.raises(LabelFileRefused, match="of another account in a folder every account may write"):
        FolderSource(folder)


def test_a_label_file_that_is_a_link_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("version: 1")
    (folder / ".ringfence.yaml").symlink_to(tmp_path / "rules.yaml")
    with pytest.raises(LabelFileRefused, match="symbolic link"):
        FolderSource(folder)


def test_files_under_a_malformed_inner_file_fail_and_the_others_do_not(
    folder: Path, run: Callable[..., Summary]
) -> None:
    fill(folder, "a.md", "in/b.md")
    (folder / "in" / ".ringfence.yaml").write_text("version: 1\nrules: [{glob: '**', leve: 1}]")
    summary = run(folder)
    assert summary.added == 1
    (report,) = summary.failed
    assert report.path == "in/b.md"
    assert report.reason.startswith("in/.ringfence.yaml rule 1: found unknown 'leve'")


def test_modes_label_files_of_tenant_local(folder: Path, door: object, run: Callable[..., Summary]) -> None:
    fill(folder, "a.md")
    (folder / "a.md").chmod(0o600)
    run(folder, person="local/user:somebody")
    label = door.label_of("a.md")  # type: ignore[attr-defined]
    assert isinstance(label, Label)
    assert label.tenant == "local"
    assert label.readers == frozenset()


def test_folders_deeper_than_the_bound_are_reported(folder: Path) -> None:
    fill(folder, "/".join(["d"] * 128) + "/in.md")
    fill(folder, "/".join(["d"] * 129) + "/too-deep.md")
    (trouble,) = troubles(folder).values()
    assert trouble.hides_documents
    assert "more than 128 deep" in trouble.reason
    assert items(folder) == ["/".join(["d"] * 128) + "/in.md"]
