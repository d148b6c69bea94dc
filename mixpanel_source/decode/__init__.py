"""Bytes from the network into typed arrow columns."""
