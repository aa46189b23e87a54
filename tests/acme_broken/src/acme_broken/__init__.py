"""Each module is broken in its own way."""
