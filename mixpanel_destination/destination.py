"""The destination of dlt."""
