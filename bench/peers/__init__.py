"""Ringfence against what else can be had: filtered vector search by the same readers over the same rows.

Promise: every engine answers the same questions, tuned on other questions than it is reported on; what loses stays.
"""
