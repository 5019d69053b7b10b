"""Turn bytes into text without guessing.

Promise: bytes are decoded exactly or refused: UTF-8 strictly, UTF-16 and
UTF-32 only behind a byte order mark, anything else only if it is named. A
guess that is wrong half of the time would index text nobody wrote.
"""

from __future__ import annotations

import codecs

from ringfence_governance.errors import InvalidInput

from .errors import FileSkipped, FileTrouble

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def checked_encoding(name: str | None) -> str | None:
    """Return `name` if Python knows it as a text encoding.

    Raises:
        InvalidInput: It does not.
    """
    if name is None:
        return None
    try:
        "a".encode(name)
        b"a".decode(name)
    except (LookupError, UnicodeError, TypeError, AssertionError):
        raise InvalidInput(
            f"encoding: found {name!r}; expected the name of a text encoding such as 'cp1252' or 'latin-1'"
        ) from None
    return codecs.lookup(name).name


def decode(content: bytes, encoding: str | None) -> str:
    """Return the text that `content` holds.

    Args:
        content: The bytes.
        encoding: What they are encoded in; None: by their mark, else UTF-8. A mark wins over it.

    Raises:
        FileSkipped: It holds NUL: binary data, no text.
        FileTrouble: The bytes are not of that encoding.
    """
    marked = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    name = marked or encoding or "utf-8"
    try:
        text = content.decode(name, "strict")
    except UnicodeError as error:
        place = f" at byte {error.start}" if isinstance(error, UnicodeDecodeError) else ""
        raise FileTrouble(
            f"bytes that are not {name}{place}",
            "UTF-8, or UTF-16 with a byte order mark",
            "save it as UTF-8, or name its encoding: --encoding cp1252, or encoding='cp1252' in Python",
        ) from None
    if "\x00" in text:
        raise FileSkipped("binary data (a NUL byte)", "text", "convert it, or exclude it")
    return text
