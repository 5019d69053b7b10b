"""A page to look at: lineage, rights and reads of a store, served on loopback to the one who started it.

Promise: a page shows what its subject is told by the same questions, asked as him, anew for each page and
recorded like any other; no page shows content.
"""
