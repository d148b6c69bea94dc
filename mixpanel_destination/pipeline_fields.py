"""The fields of data pipelines, which depend on their kind. Pure data.

Source: https://developer.mixpanel.com/reference/create-warehouse-pipeline
"""

from __future__ import annotations

from typing import Final, NamedTuple

_ANY_PIPELINE: Final = ("trial", "data_source", "to_date", "frequency", "events", "where")
_BUCKET_GCS: Final = ("from_date", "gcs_bucket", "gcs_region")
_BUCKET_S3: Final = ("from_date", "s3_bucket", "s3_region", "s3_role")
_CONTAINER: Final = (
    "from_date",
    "client_id",
    "client_secret",
    "container_name",
    "storage_account",
    "tenant_id",
)
_S3_OPTIONS: Final = ("data_format", "s3_encryption", "s3_kms_key_id", "s3_prefix")
_TABLES: Final = ("schema_type", "sync")


class PipelineFields(NamedTuple):
    """Fields of the requests for a kind of data pipeline, beside `type` and `name`."""

    required: tuple[str, ...]
    optional: tuple[str, ...]


PIPELINE_FIELDS: Final = {
    kind: PipelineFields(required, (*_ANY_PIPELINE, *optional))
    for kind, required, optional in (
        ("gcs-raw", _BUCKET_GCS, ("data_format", "gcs_prefix")),
        ("s3-raw", _BUCKET_S3, _S3_OPTIONS),
        ("azure-raw", _CONTAINER, ("data_format", "prefix")),
        (
            "bigquery",
            ("from_date", "bq_dataset_name", "bq_region", "gcp_project", *_TABLES),
            ("bq_prefix",),
        ),
        (
            "snowflake",
            (
                "from_date",
                "snowflake_account_name",
                "snowflake_database",
                "snowflake_password",
                "snowflake_role",
                "snowflake_schema",
                "snowflake_storage_integration",
                "snowflake_user",
                "snowflake_warehouse",
                *_TABLES,
            ),
            ("snowflake_prefix",),
        ),
        (
            "aws",
            (*_BUCKET_S3, *_TABLES),
            (*_S3_OPTIONS, "glue_database", "glue_role", "glue_table_prefix", "use_glue"),
        ),
        ("azure-blob", (*_CONTAINER, *_TABLES), ("data_format", "prefix")),
        ("gcs-schema", (*_BUCKET_GCS, *_TABLES), ("data_format", "gcs_prefix")),
    )
}
"""Kind of pipeline -> its fields when it is created."""
PIPELINE_EDIT_FIELDS: Final = (
    "events",
    "where",
    "azure_client_id",
    "azure_client_secret",
    "azure_tenant_id",
    "bq_share_with_group",
    "glue_database",
    "glue_role",
    "glue_table_prefix",
)
"""What can be changed, depending on the kind."""
