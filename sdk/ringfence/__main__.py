"""Run the command line as `python -m ringfence`."""

from __future__ import annotations

from .cli import main

if __name__ == "__main__":
    main()
