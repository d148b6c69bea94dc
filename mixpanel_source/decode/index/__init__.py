"""The keys of rows, and which rows of a window are loaded."""
