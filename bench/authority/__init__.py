"""What does it cost to know what a subject may read, and how soon is a right that was taken back gone?

Run `python -m bench.authority` (`make bench-authority`); docs/bench-authority.md has the tables and how to read them.
"""
