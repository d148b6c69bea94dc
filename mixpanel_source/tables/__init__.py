"""The tables: how each is fetched, verified and handed to dlt."""
