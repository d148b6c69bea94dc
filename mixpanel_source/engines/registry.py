"""The engines by name; the one place that chooses among them."""

from __future__ import annotations

import dlt

from ..destinations.registry import destination_of
from ..errors import ConfigError
from ..tables.engine import Engine, LocalEngine

LOCAL, RAY = "local", "ray"
ENGINES = (LOCAL, RAY)


def open_engine(name: str, pipeline: dlt.Pipeline, *, workers: int | None = None) -> Engine:
    """The engine of a job.

    Args:
        name: one of `ENGINES`.
        pipeline: where the job loads.
        workers: number of windows that are worked on at once; as many as the cluster has
            processors if not given.

    Raises:
        ConfigError: the engine is unknown, not installed or does not fit the destination.
    """
    if name == LOCAL:
        return LocalEngine()
    if name != RAY:
        raise ConfigError(f"--engine is {name}; it can be {', '.join(ENGINES)}.")
    if not destination_of(pipeline).shares_files:
        raise ConfigError("--engine ray loads into the destinations delta and iceberg only.")
    try:
        import ray  # noqa: F401, PLC0415 - an extra that takes a second to load
    except ImportError as error:
        raise ConfigError(
            "--engine ray needs the package ray: pip install 'mixpanel-source[ray]'"
        ) from error
    from .ray.engine import RayEngine  # noqa: PLC0415 - as above

    return RayEngine(workers)
