"""The spool: what was downloaded, on disk until it is loaded."""
