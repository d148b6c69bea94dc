"""Bytes from the network into typed arrow columns: framing, verification, identity, types, names."""
