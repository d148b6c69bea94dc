"""A local Mixpanel: all of the API that reads, over HTTP on loopback, failing on demand.

`with Sandbox(made_up_project(last_day=day)) as sandbox:` serves at `sandbox.url`, to the service
account `USERNAME` with `SECRET`, the project `PROJECT_ID`.
"""

from .fake_data.generator import made_up_project
from .fault_kinds import KINDS
from .faults import Fault, parse_fault
from .project import PROJECT_ID, Project
from .sandbox import Sandbox
from .server.auth import PROJECT_SECRET, SECRET, USERNAME
from .server.connection import Record

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
