"""What does governance cost, against the same work on plain LanceDB?

Run `python -m bench` (`make bench`); docs/bench.md has the table and how to read it.
"""
