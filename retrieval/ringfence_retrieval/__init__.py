"""What a reader can ask: search, contexts, lists, counts and text, over his own rows alone."""
