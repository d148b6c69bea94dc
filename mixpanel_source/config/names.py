"""The names that a user gives a pipeline and a dataset."""

from __future__ import annotations

import re

from ..errors import ConfigError

MAX_LENGTH = 64


def check_names(pipeline: str, dataset: str) -> None:
    """Check names before dlt makes directories and schemas of them.

    Raises:
        ConfigError: a name is not valid; the message says what is.
    """
    if not re.fullmatch(rf"\w[\w-]{{0,{MAX_LENGTH - 1}}}", pipeline):
        raise ConfigError(
            f"--pipeline (name) is {pipeline!r}; it must be 1 to {MAX_LENGTH} letters, digits, "
            "underscores and hyphens, and not begin with a hyphen, such as mixpanel-eu."
        )
    if not re.search(r"[^\W_]", dataset) or re.match(r"(?i)information_schema$|pg_", dataset):
        raise ConfigError(
            f"--dataset (dataset) is {dataset!r}; it must contain a letter or a digit, such as "
            "mixpanel_eu, and be neither information_schema nor begin with pg_, which are names "
            "of the database itself."
        )
