from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence_ingest import chunks
from ringfence_ingest.chunks import cut
from ringfence_ingest.errors import FileTrouble
from ringfence_ingest.limits import CHUNK_CHARS_MAX
from ringfence_ingest.media_types import MARKDOWN, PLAIN

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=400) | st.lists(
    st.sampled_from(
        [
            "word ",
            "Größe. ",
            "😀",
            "\r\n",
            "\n\n",
            "# head\n",
            "- item\n",
            "```\n",
            "| a | b |\n",
            "e\u0301",
            "\t",
        ]
    ),
    max_size=120,
).map("".join)


@given(TEXTS, st.sampled_from([PLAIN, MARKDOWN]), st.integers(1, 60))
def test_chunks_are_exact_slices_that_hold_all_words(text: str, kind: str, chars_max: int) -> None:
    spans = cut(text, kind, chars_max=chars_max)
    reached = 0
    for span in spans:
        assert span.text == text[span.start : span.end]
        assert 0 < len(span.text) <= chars_max or len(span.text.encode()) <= 4 * chars_max
        assert not text[reached : span.start].strip()
        reached = span.end
    assert not text[reached:].strip()


def test_a_long_text_is_cut_within_the_bound() -> None:
    text = "A sentence of some words. " * 500
    spans = cut(text, PLAIN)
    assert all(300 < len(span.text) <= CHUNK_CHARS_MAX for span in spans[:-1])


def test_markdown_is_cut_at_its_headings() -> None:
    text = "\n\n".join(f"# Part {number}\n\n{'words ' * 60}" for number in range(4))
    assert [span.text.splitlines()[0] for span in cut(text, MARKDOWN)] == [
        f"# Part {number}" for number in range(4)
    ]


def test_blanks_give_no_chunk() -> None:
    assert cut("", PLAIN) == ()
    assert cut(" \n\t ", MARKDOWN) == ()


@pytest.mark.parametrize(
    "answer", [[(0, "the crown")], [(0, "The")], [(4, "crown")], [(0, "The crown"), (4, "crown")], []]
)
def test_a_cutter_that_rewrites_drops_or_repeats_is_caught(
    monkeypatch: pytest.MonkeyPatch, answer: list[tuple[int, str]]
) -> None:
    class Lying:
        def __init__(self, chars_max: int) -> None: ...

        def chunk_indices(self, text: str) -> list[tuple[int, str]]:
            return answer

    monkeypatch.setattr(chunks, "TextSplitter", Lying)
    with pytest.raises(FileTrouble, match=r"not the text's next slice|no chunk that holds"):
        cut("The crown", PLAIN)
