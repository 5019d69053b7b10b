from __future__ import annotations

import pytest

from ringfence_governance.drafts import LabelChoice
from ringfence_governance.errors import InvalidInput
from ringfence_governance.labels import Label, lowering
from ringfence_ingest.documents import Loaded, SourceItem
from ringfence_ingest.errors import FileTrouble
from ringfence_ingest.label_choice import ChosenLabel, LabelChooser
from ringfence_ingest.label_files import parse_label_file
from ringfence_ingest.posix_labels import Mode, PosixFacts

NAMED = {
    "acme/label:sales": Label("acme", "acme/user:sam", frozenset({"acme/group:sales"})),
    "acme/label:all": Label("acme", "acme/user:sam", frozenset({"*"})),
}
PRIVATE = Label("acme", "acme/user:ingester")
LOCAL = PosixFacts(Mode(0, 0, 0o600), (Mode(0, 0, 0o755),))
MAIL = b"From: ada@acme.example\nTo: carl@acme.example, dora@local.example\n\nhello\n"


class Accounts:
    def user_name(self, uid: int) -> str | None:
        return "root"

    def group_name(self, gid: int) -> str | None:
        return "root"

    def groups_of(self, uid: int) -> frozenset[int]:
        return frozenset({0})


def is_lower(new: LabelChoice, old: LabelChoice) -> bool:
    def value(label: LabelChoice) -> Label:
        return NAMED[label] if isinstance(label, str) else label

    return new != old and bool(lowering(value(new), value(old)))


def choose(
    *files: tuple[str, str],
    path: str = "hr/a.md",
    own: LabelChoice | None = None,
    explicit: LabelChoice | None = None,
    ingester: str = "acme/user:ingester",
    permissions: PosixFacts | None = None,
    mail: bool = False,
) -> ChosenLabel:
    parsed = tuple(parse_label_file(f"version: 1\n{text}".encode(), folder) for folder, text in files)
    item = SourceItem(
        path=path, load=lambda _: Loaded(b""), label=own, label_files=lambda: parsed, is_mail=mail
    )
    chooser = LabelChooser(ingester, explicit, False, Accounts(), is_lower)
    return chooser.choose(item, Loaded(MAIL if mail else b"x", permissions=permissions))


def rule(text: str, glob: str = "**") -> str:
    return f"rules: [{{glob: '{glob}', {text}}}]"


ROOT_SALES = ("", rule("label: acme/label:sales"))


def test_the_order_is_own_then_argument_then_file_then_permissions_then_private() -> None:
    own, argument = NAMED["acme/label:sales"], "acme/label:all"
    everything = {"own": own, "explicit": argument, "permissions": LOCAL, "ingester": "local/user:me"}
    assert choose(ROOT_SALES, **everything).label == own  # type: ignore[arg-type]
    del everything["own"]
    assert choose(ROOT_SALES, **everything).label == argument  # type: ignore[arg-type]
    del everything["explicit"]
    assert choose(ROOT_SALES, **everything).label == "acme/label:sales"  # type: ignore[arg-type]
    assert choose(**everything).label == Label("local", "local/user:root")  # type: ignore[arg-type]
    assert choose().label == PRIVATE


def test_each_choice_says_where_it_came_from() -> None:
    assert choose(own=PRIVATE).origin == "the document's own label"
    assert choose(explicit=PRIVATE).origin == "the run's label"
    assert choose(ROOT_SALES).origin == ".ringfence.yaml rule 1"
    assert choose(permissions=LOCAL, ingester="local/user:me").origin == "the source's permissions"
    assert choose(permissions=LOCAL).origin == "private to the ingester"


def test_a_file_that_no_rule_matches_stays_private() -> None:
    assert choose(("", rule("label: acme/label:all", "other/**"))).label == PRIVATE


def test_inline_fields_default_to_the_ingester_as_owner() -> None:
    found = choose(("", rule("readers: ['acme/group:hr'], level: 2")))
    assert found.label == Label("acme", "acme/user:ingester", frozenset({"acme/group:hr"}), level=2)


def test_the_roots_file_may_widen_over_the_permissions() -> None:
    found = choose(("", rule("readers: ['*']")), permissions=LOCAL, ingester="local/user:me")
    assert isinstance(found.label, Label)
    assert found.label.readers == {"*"}


def test_an_inner_file_may_narrow() -> None:
    outer = ("", rule("owner: acme/user:sam, readers: ['acme/group:sales', 'acme/group:hr']"))
    found = choose(outer, ("hr", rule("readers: ['acme/group:hr'], level: 3")))
    assert found == ChosenLabel(
        Label("acme", "acme/user:sam", frozenset({"acme/group:hr"}), level=3), "hr/.ringfence.yaml rule 1"
    )


@pytest.mark.parametrize(
    "inner",
    [
        "readers: ['*']",
        "readers: ['acme/user:mallory']",
        "owner: acme/user:mallory",
        "denied: []",
        "level: 0",
        "label: acme/label:all",
    ],
)
def test_an_inner_file_that_widens_refuses_the_document(inner: str) -> None:
    outer = (
        "",
        rule("owner: acme/user:sam, readers: ['acme/group:hr'], denied: ['acme/user:eve'], level: 1"),
    )
    narrow = "readers: ['acme/group:hr'], denied: ['acme/user:eve'], level: 1"
    assert choose(outer, ("hr", rule(narrow))).label == choose(outer).label
    with pytest.raises(FileTrouble, match=r"found hr/.ringfence.yaml rule 1, which would let in more"):
        choose(outer, ("hr", rule(inner)))


def test_an_inner_file_may_not_widen_what_no_outer_file_gave() -> None:
    with pytest.raises(FileTrouble, match="private to the ingester"):
        choose(("hr", rule("readers: ['acme/user:mallory']")))
    with pytest.raises(FileTrouble, match="the source's permissions"):
        choose(("hr", rule("readers: ['local/user:mallory']")), permissions=LOCAL, ingester="local/user:me")
    assert isinstance(choose(("hr", rule("level: 4"))).label, Label)


def test_each_inner_file_is_compared_with_the_one_outside_it() -> None:
    outer = ("", rule("readers: ['acme/group:a', 'acme/group:b']"))
    middle = ("hr", rule("readers: ['acme/group:a']"))
    with pytest.raises(FileTrouble, match=r"hr/x/.ringfence.yaml rule 1"):
        choose(outer, middle, ("hr/x", rule("readers: ['acme/group:b']")), path="hr/x/a.md")


def test_an_inner_rule_beneath_a_named_label_needs_an_owner() -> None:
    with pytest.raises(FileTrouble, match="write 'owner:' in that rule"):
        choose(ROOT_SALES, ("hr", rule("level: 3")))
    found = choose(ROOT_SALES, ("hr", rule("owner: acme/user:sam, level: 3")))
    assert found.label == Label("acme", "acme/user:sam", level=3)


@pytest.mark.parametrize("fields", ["level: 12", "owner: sam", "readers: all", "readers: ['globex/user:x']"])
def test_fields_that_make_no_label_name_their_rule(fields: str) -> None:
    with pytest.raises(InvalidInput, match=r"^\.ringfence\.yaml rule 1: "):
        choose(("", rule(fields)))


DOMAINS = "mail: {domains: {acme.example: acme, local.example: local}}\n"


def test_headers_add_readers_where_the_rule_says_so() -> None:
    root = ("", DOMAINS + rule("owner: acme/user:eve, readers: [], headers: readers"))
    found = choose(root, mail=True, path="mail/x.mbox")
    assert found.label == Label("acme", "acme/user:eve", frozenset({"acme/user:ada", "acme/user:carl"}))


def test_headers_add_nobody_where_no_rule_says_so() -> None:
    root = ("", DOMAINS + rule("owner: acme/user:eve, readers: []"))
    assert choose(root, mail=True).label == Label("acme", "acme/user:eve")
    assert choose(("", DOMAINS), mail=True).label == PRIVATE


def test_headers_add_readers_to_the_mailbox_owners_own_permissions() -> None:
    found = choose(("", DOMAINS), mail=True, permissions=LOCAL, ingester="local/user:me")
    assert found.label == Label("local", "local/user:root", frozenset({"local/user:dora"}))
    assert found.origin == "the source's permissions and the mail's headers"


def test_headers_of_a_file_that_is_no_mail_count_for_nothing() -> None:
    root = ("", DOMAINS + rule("owner: acme/user:eve, readers: [], headers: readers"))
    assert choose(root).label == Label("acme", "acme/user:eve")


def test_an_inner_file_cannot_let_headers_in() -> None:
    root = ("", DOMAINS + rule("owner: acme/user:eve, readers: []"))
    with pytest.raises(FileTrouble, match="would let in more"):
        choose(root, ("hr", rule("headers: readers")), mail=True)


def test_headers_cannot_change_a_named_label() -> None:
    root = ("", DOMAINS + rule("label: acme/label:sales"))
    with pytest.raises(FileTrouble, match="on top of the named label"):
        choose(root, ("hr", rule("headers: readers")), mail=True)
