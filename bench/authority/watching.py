"""Look at a store again and again from a process of its own, and say when the visitor's right came or went.

Promise: each look is a grant as a read takes it. Times are of the clock that all processes of the machine share.
"""

from __future__ import annotations

import argparse
import select
import sys
import time
from pathlib import Path

from .partner import say
from .stores import VISITOR, WATCHED, opened


def main() -> None:
    """Look until whoever started this process has closed its input."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    ground = opened(parser.parse_args().folder)
    atom = ground.moment().table.by_id[WATCHED.name].atom
    allowed = atom in ground.grant(VISITOR, "read").atoms
    say(ready=True, allowed=allowed)
    while not select.select([sys.stdin], [], [], 0)[0]:
        now_allowed = atom in ground.grant(VISITOR, "read").atoms
        at = time.perf_counter()
        if now_allowed is not allowed:
            allowed = now_allowed
            say(allowed=allowed, at=at)


if __name__ == "__main__":
    main()
