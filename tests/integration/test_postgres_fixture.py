"""The PostgreSQL of the tests takes parquet through ADBC, as a user's does."""

from __future__ import annotations

from contextlib import closing
from datetime import date

import adbc_driver_postgresql.dbapi
import dlt
import psycopg2
import pyarrow as pa

DAY = date(2024, 1, 31)
ROWS = [("Sign up", DAY), ("购买", DAY)]


def test_parquet_is_copied_in_whole(postgres: str) -> None:
    """A day merged twice is there once, came as parquet, and reads alike through both drivers."""
    table = pa.table(dict(zip(("event", "event_date"), zip(*ROWS, strict=True), strict=True)))
    resource = dlt.resource(
        [table], name="export", write_disposition="merge", merge_key="event_date"
    )
    pipeline = dlt.pipeline(
        "fixture", destination=dlt.destinations.postgres(postgres), dataset_name="mixpanel"
    )
    for _ in range(2):
        info = pipeline.run(resource, loader_file_format="parquet")

    # dlt has no other way than ADBC to load parquet into Postgres
    jobs = [job.job_file_info for job in info.load_packages[0].jobs["completed_jobs"]]
    assert {"parquet", "sql"} == {job.file_format for job in jobs if job.table_name == "export"}

    query = "SELECT event, event_date FROM mixpanel.export ORDER BY event"
    with closing(psycopg2.connect(postgres)) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        assert cursor.fetchall() == ROWS
    with adbc_driver_postgresql.dbapi.connect(postgres) as database, database.cursor() as reader:
        reader.execute(query)
        assert reader.fetchall() == ROWS
