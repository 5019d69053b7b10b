"""Turn sources into labelled documents: read, parse, cut, embed, hand to the door.

Everything that becomes a row comes through here: a source is opened, each
file gets a label or is refused, its text is cut into exact slices, each slice
gets a vector, and the governance door writes them. Importing this package
loads no model, no parser and no store.
"""
