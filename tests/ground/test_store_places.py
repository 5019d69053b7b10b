"""What a store promises holds wherever it lies: in a folder, and in a real object store."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import obstore
import pytest

from ringfence_governance import erasure_proof
from ringfence_governance.descendants import Reach
from ringfence_governance.errors import StoreBusy, StoreError, WriterExpelled
from ringfence_governance.lance_tables import LanceTables
from ringfence_governance.reading import Answer, GrantedReader
from ringfence_governance.table_schemas import TableChange

from .dying import PUBLICATIONS, Instants, state_after, watched, write_publication
from .killed import seen, views
from .object_server import BUCKET, ObjectServer
from .test_crash import kill_and_look
from .worlds import ADMIN, WHY, World, draft, label, make_world, open_world, subject

HAL, DEX, OLGA = "acme/user:hal", "acme/user:dex", "acme/user:olga"


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest) -> str | None:
    """The address of a bucket, or None; a test that takes this, or `world`, runs once for each kind of place."""
    if request.param == "folder":
        return None
    found: str = request.getfixturevalue("address")
    return found


@pytest.fixture
def world(place: str | None, tmp_path: Path) -> Iterator[World]:
    world = make_world(tmp_path / "world", address=place)
    yield world
    world.door.close()


def test_each_reader_gets_what_is_his_after_it_was_changed_relabelled_and_removed(world: World) -> None:
    hr = label("acme/user:dora", "acme/group:hr")
    world.put(draft("a", "one\ntwo"), draft("b", "three", hr), draft("c", "four"), who=DEX)
    with world.ingestion(DEX) as ingestion:
        ingestion.put(draft("a", "five\nsix"))
        assert ingestion.relabel("b", label("acme/user:dora", "acme/user:bob"))
        assert ingestion.remove("c")
    again = open_world(world.folder, world.clock)
    assert again.see(HAL).chunks == world.see(HAL).chunks
    assert sorted(again.see(HAL).chunks) == ["five\n", "six"]
    assert sorted(again.see("acme/user:bob").texts) == ["five\nsix", "three"]
    assert again.see("acme/user:nobody").paths == world.see("acme/user:nobody").paths
    again.door.close()


def test_what_is_written_and_not_published_is_not_there(world: World) -> None:
    with world.ingestion() as ingestion:
        ingestion.put(draft("a", "one"))
        assert world.see(HAL).texts == ()
        ingestion.publish()
        ingestion.put(draft("b", "two"))
        assert world.see(HAL).texts == ("one",)


def test_a_read_that_a_writer_overtakes_is_of_one_publication(world: World) -> None:
    world.put(draft("a", "old a"), draft("b", "old b"), who=DEX)
    looks: list[int] = []

    def work(reader: GrantedReader) -> Answer[list[str]]:
        found = [document.document_id for document in reader.documents()]
        if not looks:
            second = world.second()
            second.put(draft("a", "new a"), draft("b", "new b"), who=DEX)
            second.door.close()
        looks.append(1)
        texts = sorted(reader.document_text(document) for document in found)
        rows = [(document.document_id, document.atom) for document in reader.documents()]
        return Answer(rows, lambda _: texts, documents=found)

    assert world.door.read(subject(HAL), "list", work) == ["new a", "new b"]


def test_a_second_writer_waits_for_the_first_ones_lease_or_is_told(world: World) -> None:
    second = world.second()
    with world.ingestion(DEX) as ingestion:
        ingestion.put(draft("a", "one"))
        with pytest.raises(StoreBusy), second.ingestion(DEX):
            pytest.fail("both have the lease")
    second.door.close()
    assert world.see(HAL).texts == ("one",)


def test_what_a_dead_writer_wrote_is_taken_back_before_the_next_ones_first_commit(world: World) -> None:
    [kept] = world.put(draft("a", "one"), who=DEX)
    moment = world.ground.moment()
    written = world.ground.tables.write(moment.publication.versions, {"documents": TableChange((kept,))})
    assert written["documents"] > moment.publication.versions["documents"]
    world.put(draft("b", "two"), who=DEX)
    assert world.see(HAL).texts == ("one", "two")


def test_of_writers_who_commit_at_once_none_publishes_over_another(world: World) -> None:
    ids = world.put(*(draft(f"{number}", f"text {number}") for number in range(4)), who=DEX)
    published = world.ground.moment().publication.versions
    place = world.ground.tables._place

    def write(row_id: str) -> int | None:
        try:
            return LanceTables(place).write(published, {"documents": TableChange((row_id,))})["documents"]
        except (WriterExpelled, StoreError):
            return None

    with ThreadPoolExecutor(4) as threads:
        given = {
            row_id: version for row_id, version in zip(ids, threads.map(write, ids), strict=True) if version
        }
    assert len(given) == len(set(given.values()))
    atoms = world.ground.moment().table.entries
    for row_id, version in given.items():
        found = world.ground.tables.scan("documents", version, atoms, [])["id"].to_pylist()
        assert sorted(found) == sorted(set(ids) - {row_id}), "another writer's change rode along"


def everything(world: World, place: str | None, objects: ObjectServer) -> dict[str, bytes]:
    """Every file of the store and of its keys, and every object in its bucket."""
    found = {
        str(path.relative_to(world.folder)): path.read_bytes()
        for path in world.folder.rglob("*")
        if path.is_file()
    }
    return found | ({} if place is None else objects.objects(place.removeprefix(f"s3://{BUCKET}/")))


def test_an_erased_document_is_in_no_file_and_no_object_and_the_certificate_says_what_was_read(
    world: World, place: str | None, objects: ObjectServer
) -> None:
    erased, _ = world.put(draft("a", "one\ntwo"), draft("b", "stays"), who=DEX)
    world.put(draft("a", "three"), who=DEX)
    versions = world.ground.moment().publication.versions
    cells = erasure_proof.traces(
        world.ground, versions, Reach(frozenset({erased}), frozenset(), frozenset())
    ).cells
    before = b"".join(everything(world, place, objects).values())
    assert cells
    assert all(cell in before for cell in cells)
    (certificate,) = world.door.erase(subject(DEX), [erased], WHY)
    after = everything(world, place, objects)
    assert not [cell for cell in cells if any(cell in content for content in after.values())]
    assert certificate["clean"]
    assert world.see(HAL).texts == ("stays",)
    whole = world.door.verify_erasure(subject(OLGA), certificate)
    assert whole["holds"], whole
    if place is not None:
        assert any("the bucket keeps" in each for each in certificate["not_looked_at"])
        assert any("never completed" in each for each in certificate["not_looked_at"])


def test_a_document_under_another_label_is_for_its_new_readers_with_what_was_made_from_it(
    world: World,
) -> None:
    (parent,) = world.put(draft("a", "one", label(DEX, HAL)), who=DEX)
    world.put(draft("made", "of one", label(DEX, HAL), parents=(parent,)), who=DEX)
    assert sorted(world.see(HAL).texts) == ["of one", "one"]
    assert world.door.relabel(subject(DEX), parent, label(DEX), WHY)["changed"]
    assert world.see(HAL).texts == ()
    assert sorted(world.see(DEX).texts) == ["of one", "one"]


def test_an_erasure_reads_every_object_beneath_the_address(
    address: str, tmp_path: Path, objects: ObjectServer
) -> None:
    world = make_world(tmp_path / "world", address=address)
    (erased,) = world.put(draft("a", "one"), who=DEX)
    own = world.ground.store_id
    strays = {f"{own}/lance/chunks.lance/data/stray", f"{own}/stray", "beside/stray"}
    for name in strays:
        key = f"{address.removeprefix(f's3://{BUCKET}/')}/{name}"
        obstore.put(objects.store(), key, bytes(9 << 20) + f"left: {erased}".encode())
    (certificate,) = world.door.erase(subject(DEX), [erased], WHY)
    assert not certificate["clean"]
    verified = world.door.verify_erasure(subject(OLGA), certificate)
    assert not verified["holds"]
    assert {"claim": "bytes", "holds": False, "found": len(strays)} in verified["claims"]
    world.door.close()


def test_compaction_puts_the_rows_of_one_label_together_and_changes_no_answer(world: World) -> None:
    hr = label("acme/user:dora", "acme/group:hr")
    for number in range(4):
        world.put(draft(f"{number}", f"text {number}"), draft(f"h{number}", f"hr {number}", hr), who=DEX)
    before = world.see(HAL)
    versions = world.ground.moment().publication.versions
    assert not world.ground.tables.is_clustered("chunks", versions["chunks"])
    world.door.compact(subject(ADMIN))
    versions = world.ground.moment().publication.versions
    assert world.ground.tables.is_clustered("chunks", versions["chunks"])
    after = world.see(HAL)
    assert (after.ids, after.texts, after.chunks) == (before.ids, before.texts, before.chunks)


@pytest.fixture(scope="session")
def bucket_instants() -> dict[str, int]:
    """How many instants a line of publications has in a bucket, counted once."""
    return {}


def kill_in_bucket(world: World, seed: int, counted: dict[str, int], other: World) -> None:
    if not counted:
        with watched(Instants()) as instants:
            for number in range(1, PUBLICATIONS + 1):
                write_publication(other, number)
        assert seen(other) == views(state_after(PUBLICATIONS))
        counted["all"] = instants.count
    kill_and_look(world, seed, counted["all"])


@pytest.fixture
def two(address: str, tmp_path: Path) -> Iterator[tuple[World, World]]:
    worlds = tuple(make_world(tmp_path / name, address=f"{address}/{name}") for name in ("one", "two"))
    yield worlds[0], worlds[1]
    worlds[1].door.close()


@pytest.mark.parametrize("seed", [1])
def test_a_writer_killed_in_a_bucket_leaves_the_last_publication(
    seed: int, two: tuple[World, World], bucket_instants: dict[str, int]
) -> None:
    kill_in_bucket(two[0], seed, bucket_instants, two[1])


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 60))
def test_a_writer_killed_at_many_instants_in_a_bucket_leaves_the_last_publication(
    seed: int, two: tuple[World, World], bucket_instants: dict[str, int]
) -> None:
    kill_in_bucket(two[0], seed, bucket_instants, two[1])
