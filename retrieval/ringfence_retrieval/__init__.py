"""What a reader can ask: search, lists, counts and text, over his own rows alone."""
