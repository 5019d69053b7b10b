from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence_governance.errors import InvalidInput
from ringfence_governance.terms import TERM_CHARS_MAX, languages, terms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What did we offer Meridian?", ["what", "did", "we", "offer", "meridian"]),
        ("offers offered offering", ["offer"] * 3),
        ("snake_case INV-2031 dora@acme.example", ["snake", "case", "inv", "2031", "dora", "acm", "exampl"]),
        ("Straße STRASSE", ["strass", "strass"]),
        ("ﬁnance", ["financ"]),
        ("Meri\u00addian Meri\u200bdian", ["meridian", "meridian"]),
        ("nai\u0308ve naïve", ["naïv", "naïv"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("東京都 x", ["東京", "京都", "x"]),
        ("東", ["東"]),
        ("😀 … — !", []),
        ("", []),
    ],
)
def test_words_are_folded_and_stemmed(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


def test_none_stems_nothing() -> None:
    assert terms("Offers OFFERED", "none") == ["offers", "offered"]


def test_each_language_folds_its_own_forms() -> None:
    assert terms("Verträge", "german") == terms("Vertrag", "german")
    assert terms("maisons", "french") == terms("maison", "french")


def test_an_unknown_language_names_the_known_ones() -> None:
    with pytest.raises(InvalidInput, match=r"found 'klingon'; expected one of .*english.*none"):
        terms("", "klingon")
    assert "none" in languages()


@given(st.text(), st.sampled_from(["english", "none", "german"]))
def test_terms_are_bounded_and_repeatable(text: str, language: str) -> None:
    found = terms(text, language)
    assert found == terms(text, language)
    assert all(0 < len(term) <= TERM_CHARS_MAX for term in found)


@given(st.text(alphabet="abcdefgh ", max_size=50))
def test_a_text_has_the_terms_of_its_words(text: str) -> None:
    assert terms(text) == [term for word in text.split() for term in terms(word)]


def test_a_very_long_word_is_cut() -> None:
    assert terms("x" * 10_000, "none") == ["x" * TERM_CHARS_MAX]


def test_threads_do_not_mix_words() -> None:
    words = [f"{'abcdefghij'[i % 10] * 3}ational{i}ness" for i in range(3000)]
    expected = [terms(word)[0] for word in words]
    wrong: list[str] = []

    def stem() -> None:
        from ringfence_governance.terms import _stem

        for word, right in zip(words, expected, strict=True):
            if _stem.__wrapped__(word, "english") != right:
                wrong.append(word)

    threads = [threading.Thread(target=stem) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
