"""How many rows are asked for."""

from __future__ import annotations

from bench.peers.question_sets import K

AS_REPORTED, FOR_COMPARING = f"{K} rows", f"{2 * K} rows"
DEPTHS = {AS_REPORTED: K, FOR_COMPARING: 2 * K}
"""Every engine's settings here. Answers are compared with more rows than count, so that rows of equal score at the
last place can be put in one order."""
