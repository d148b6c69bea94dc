"""Bytes into typed arrow columns: framing, verification, identity, types, names."""
