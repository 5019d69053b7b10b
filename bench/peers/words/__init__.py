"""Search by words, and by words and meaning together: the same readers, over rows that have texts.

Promise: all engines find the same words in a text and in a question. How well a row answers, each judges by a formula
of its own, so no order is held to another engine's; what is counted is whether hidden rows change it.
"""
