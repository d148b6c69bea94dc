"""Endpoints that serve stored data, and the parameters they read."""
