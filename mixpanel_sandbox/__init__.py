"""A local Mixpanel: all of the API that reads, over HTTP on loopback, failing on demand.

`with Sandbox(made_up_project(last_day=day)) as sandbox:` serves at `sandbox.url`, to the service
account `USERNAME` with `SECRET`, the project `PROJECT_ID`.
"""

from .auth import PROJECT_SECRET, SECRET, USERNAME
from .faults import Fault, parse_fault
from .handler import Record
from .kinds import KINDS
from .made_up import made_up_project
from .project import PROJECT_ID, Project
from .server import Sandbox

__all__ = [
    "KINDS",
    "PROJECT_ID",
    "PROJECT_SECRET",
    "SECRET",
    "USERNAME",
    "Fault",
    "Project",
    "Record",
    "Sandbox",
    "made_up_project",
    "parse_fault",
]
