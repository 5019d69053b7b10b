"""What do publications, sealing and a crash cost: in time to publish, to open and to ask, and in bytes?

Run `python -m bench.ground` (`make bench-ground`); docs/bench-ground.md has the tables and how to read them.
"""
