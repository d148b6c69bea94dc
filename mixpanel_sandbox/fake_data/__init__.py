"""A made-up project."""
