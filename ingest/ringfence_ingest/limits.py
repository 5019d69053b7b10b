"""Name every bound of ingest, so that no input can make a run endless.

Each bound is far above what people's files need and far below what hurts; a
file beyond one is reported with the bound's value, never cut silently.
"""

from __future__ import annotations

MEBIBYTE = 1024 * 1024

BYTES_MAX = 64 * MEBIBYTE
"""Largest file or single mail that is read, in bytes. A parameter of `ingest`."""

TEXT_CHARS_MAX = 20_000_000
"""Longest text taken out of one file, in characters: about 40,000 chunks."""

PAGES_MAX = 5_000
"""Most pages of one PDF."""

ZIP_ENTRIES_MAX = 10_000
"""Most entries of a zipped document; large reports with pictures have some hundreds."""

ZIP_BYTES_MAX = 256 * MEBIBYTE
"""Largest expanded size of a zipped document, over all its entries, in bytes."""

ZIP_RATIO_MAX = 200
"""Largest expansion of a zipped document above ZIP_RATIO_FREE_BYTES; XML of real documents stays below 60."""

ZIP_RATIO_FREE_BYTES = 8 * MEBIBYTE
"""Expanded sizes up to this are never refused for their ratio: small files compress as they like."""

PARSE_SECONDS_MAX = 120
"""Longest time a parser may work on one file before it is stopped."""

PARSE_MEMORY_BYTES_MAX = 2048 * MEBIBYTE
"""Address space of the parser process (Linux)."""

DEPTH_MAX = 128
"""Deepest nesting of folders below a source's root."""

LABEL_FILE_BYTES_MAX = MEBIBYTE
"""Largest `.ringfence.yaml`."""

LABEL_RULES_MAX = 10_000
"""Most rules in one `.ringfence.yaml`."""

MAIL_HEADER_BYTES_MAX = 256 * 1024
"""Longest headers of a mail in which people are looked for."""

MAIL_PEOPLE_MAX = 1_000
"""Most addresses of one mail that can become readers; beyond it none of them does."""

CHUNK_CHARS_MAX = 500
"""Longest chunk in characters: about 128 word pieces of English; MiniLM reads at most 256."""

TITLE_CHARS_MAX = 300
"""Longest title that is kept."""

PUBLISH_EVERY = 200
"""Documents between two publications: what a killed run has to do again at most."""
