"""Ringfence against what else can be had: search by meaning, by words and by both, by the same readers.

Promise: every engine answers the same questions, tuned on other questions than it is reported on; what loses stays.
"""
