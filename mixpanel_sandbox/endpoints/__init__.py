"""Endpoints that serve the stored data of a project, and the parsing of request parameters."""
