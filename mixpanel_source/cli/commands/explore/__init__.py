"""The commands that look at what is loaded."""
