"""Creation of tables and columns that somebody has dropped."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dlt.common.schema.typing import TSchemaTables


class CreatesMissingTables:
    """Part of a dlt client: before each load it creates what the destination lacks.

    dlt would look only if the schema has changed.
    """

    def update_stored_schema(
        self,
        only_tables: Iterable[str] | None = None,
        expected_update: TSchemaTables | None = None,
        force: bool = False,  # noqa: ARG002 - always
    ) -> TSchemaTables | None:
        """Create missing tables and columns; returns what was created."""
        client: Any = super()
        created: TSchemaTables | None = client.update_stored_schema(
            only_tables, expected_update, force=True
        )
        return created
