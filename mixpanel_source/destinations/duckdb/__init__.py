"""DuckDB: its destination, its merge, and what its errors mean."""
