"""DuckLake: tables as Parquet files in a directory or a bucket, with a catalog in a database."""
