"""Prepares a resource of dlt for the destination."""
