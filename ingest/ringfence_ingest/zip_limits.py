"""Say whether a zipped document may be unpacked.

Promise: nothing is unpacked here. The sizes an archive declares bound what
Python's zipfile will ever unpack of it: an entry that holds more than it
declares ends there with a checksum error.
"""

from __future__ import annotations

import io
import zipfile

from .errors import FileTrouble
from .limits import ZIP_BYTES_MAX, ZIP_ENTRIES_MAX, ZIP_RATIO_FREE_BYTES, ZIP_RATIO_MAX

_ENCRYPTED = 0x1


def check_zip(content: bytes) -> None:
    """Refuse an archive that expands beyond the bounds, is encrypted or is broken.

    Raises:
        FileTrouble: With what it would expand to and the bound.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OverflowError, NotImplementedError):
        raise FileTrouble("a broken zip archive", "a docx that opens", "open it and save it again") from None
    if len(entries) > ZIP_ENTRIES_MAX:
        raise FileTrouble(
            f"an archive of {len(entries)} entries",
            f"at most {ZIP_ENTRIES_MAX}",
            "do not ingest it: a zip bomb?",
        )
    if any(entry.flag_bits & _ENCRYPTED for entry in entries):
        raise FileTrouble("an encrypted archive", "a docx without a password", "save it without a password")
    expanded = sum(entry.file_size for entry in entries)
    if expanded > ZIP_BYTES_MAX:
        raise FileTrouble(
            f"an archive that expands to {expanded} bytes",
            f"at most {ZIP_BYTES_MAX}",
            "do not ingest it: a zip bomb?",
        )
    if expanded > ZIP_RATIO_FREE_BYTES and expanded > ZIP_RATIO_MAX * len(content):
        raise FileTrouble(
            f"an archive that expands {expanded // len(content)} times",
            f"at most {ZIP_RATIO_MAX} times",
            "do not ingest it: a zip bomb?",
        )
