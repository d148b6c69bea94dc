"""Jobs that load: the dlt source, and the sync, backfill and catch-up that run it."""
