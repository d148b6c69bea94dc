"""Open table formats in a directory or a bucket: Delta, Iceberg and Parquet."""
