"""Tables that are a list of objects."""
