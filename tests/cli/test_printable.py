"""No text can command a terminal, and ordinary text of any script is left alone."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from ringfence.cli.printable import one_line, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31m", "␛[31m"),
        ("a\x00b\x07c\x08d", "a␀b␇c␈d"),
        ("\x7f", "␡"),
        ("\x9b31m", "<U+009B>31m"),
        ("abc\u202egnp.exe", "abc<U+202E>gnp.exe"),
        ("\u2066x\u2069", "<U+2066>x<U+2069>"),
        ("pay\u200broll\ufeff", "pay<U+200B>roll<U+FEFF>"),
        ("\u2028", "<U+2028>"),
        ("\udcff", "<U+DCFF>"),
        ("a\rb", "a␍b"),
        ("a\n\tb", "a\n\tb"),
        ("Öl, café, 日本語, שלום, नमस्ते", "Öl, café, 日本語, שלום, नमस्ते"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👩\u200d🔧", "👩\u200d🔧"),
    ],
)
def test_hidden_characters_are_shown_and_others_stay(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_no_control_and_no_direction_mark_of_unicode_survives() -> None:
    every = "".join(map(chr, range(sys.maxunicode + 1)))
    left = {
        character for character in visible(every) if unicodedata.category(character) in {"Cc", "Cf", "Cs"}
    }
    assert left == {"\n", "\t", "\u200c", "\u200d"}


def test_one_line_folds_blanks_and_cuts_with_a_mark() -> None:
    assert one_line("  a\n\n b\tc\r\nd ") == "a b c d"
    assert one_line("abcdef", 4) == "abc…"
    assert one_line("abcd", 4) == "abcd"
