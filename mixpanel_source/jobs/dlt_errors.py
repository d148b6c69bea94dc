"""What dlt raises, as errors of this package that say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dlt
from dlt.common.configuration.exceptions import (
    ConfigFieldMissingException,
    ConfigurationException,
    InvalidNativeValue,
)
from dlt.common.destination.exceptions import DestinationException, UnknownDestinationModule
from dlt.common.exceptions import MissingDependencyException
from dlt.destinations.exceptions import DestinationConnectionError
from dlt.pipeline.exceptions import PipelineStepFailed

from ..config.settings_errors import find_setting, missing_keys, settings_error
from ..destinations.failures import find_failure, hide_values
from ..destinations.registry import destination_of, find_destination
from ..errors import ConfigError, MixpanelError


@contextmanager
def destination_errors(destination: str) -> Iterator[None]:
    """Explain why a destination cannot be used.

    Args:
        destination: its name, as the user gave it.

    Raises:
        ConfigError: there is no such destination, or its credentials or packages are missing.
    """
    try:
        yield
    except (ConfigFieldMissingException, InvalidNativeValue) as error:
        raise _credentials_error(destination, error) from error
    except MissingDependencyException as error:
        extra = find_destination(destination).extra.format(name=destination)
        raise ConfigError(
            f"destination {destination} needs packages that are not installed: pip install "
            f"'{extra}'."
        ) from error
    except (UnknownDestinationModule, DestinationException) as error:
        raise ConfigError(
            f"destination {destination} cannot be used ({type(error).__name__}). Give the name of "
            "a destination of dlt, such as duckdb, postgres or filesystem, and install what it "
            f'needs: pip install "dlt[{destination}]".'
        ) from error
    except ConfigurationException as error:
        raise settings_error(error) from error


def _credentials_error(
    destination: str, error: ConfigFieldMissingException | InvalidNativeValue
) -> ConfigError:
    """What is wrong with the credentials of a destination, and what they look like."""
    example = find_destination(destination).credentials_example
    form = f", such as {example}" if example else ""
    variable = f"DESTINATION__{destination.upper()}__CREDENTIALS"
    place = find_setting("credentials", ("destination", destination))
    if isinstance(error, InvalidNativeValue):
        return ConfigError(
            f"{place or 'The credentials'} cannot be read as credentials of {destination}. Give "
            f"an address{form}."
        )
    keys = [key.rpartition("__")[2].lower() for key in missing_keys(error)]
    if "bucket_url" in keys:
        return ConfigError(
            f"destination {destination} has no bucket_url: set DESTINATION__{destination.upper()}"
            "__BUCKET_URL in the environment, or bucket_url in "
            f"[destination.{destination}] of .dlt/config.toml, to a directory or to the address "
            "of a bucket, such as s3://bucket/lake."
        )
    missing = ", ".join(keys)
    if place and missing:
        return ConfigError(
            f"{place} has no {missing}. Give a complete address{form}; or set {variable}__..., one "
            "for each part."
        )
    return ConfigError(
        f"destination {destination} has no credentials: set {variable} in the environment{form}, "
        f"or fill in [destination.{destination}.credentials] of .dlt/secrets.toml."
    )


@contextmanager
def unwrap_errors() -> Iterator[None]:
    """Raise our own errors without the exceptions that dlt wraps around them.

    Raises:
        ConfigError: a setting of dlt is malformed.
        MixpanelError: our own, or one that names the step of the pipeline that failed.
    """
    try:
        yield
    except PipelineStepFailed as failure:
        causes = [*_iter_causes(failure)]
        own = next((e for e in causes if isinstance(e, MixpanelError)), None)
        if own is not None:
            raise own from None
        setting = next((e for e in causes if isinstance(e, ConfigurationException)), None)
        if setting is not None:
            raise settings_error(setting) from failure
        lost = next((e for e in causes if isinstance(e, DestinationConnectionError)), None)
        if lost is not None and isinstance(failure.pipeline, dlt.Pipeline):
            raise destination_of(failure.pipeline).connection_error(lost) from failure
        raise _step_error(failure.step, failure.exception) from failure
    except DestinationException as failure:
        raise _step_error("sync", failure) from failure
    except ConfigurationException as failure:
        raise settings_error(failure) from failure


def _step_error(step: str, error: BaseException | None) -> MixpanelError:
    return MixpanelError(
        f"dlt could not {step} the data: {_describe(error)}. What was loaded before is safe. "
        "Remove the cause and run again."
    )


def _iter_causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _describe(error: BaseException | None) -> str:
    """What dlt or a database says of an error, without values of rows."""
    table = _table_of(error)
    failure = find_failure(error)
    if failure is not None:
        return f"the destination refused {table}: {failure}" if table else str(failure)
    # what follows may be the text of another error, with its traceback
    line = str(error).partition(" with message")[0].strip()
    return hide_values(line or type(error).__name__).rstrip(".")


def _table_of(error: BaseException | None) -> str:
    """The table whose load job failed; empty if none did."""
    job_id: str = getattr(error, "job_id", "")
    return job_id.partition(".")[0]
