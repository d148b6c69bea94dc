"""A local Mixpanel for tests and demos: its API over HTTP on loopback, with faults.

`with Sandbox(made_up_project(last_day=day)) as sandbox:` serves the project `PROJECT_ID` at
`sandbox.url` to the service account `USERNAME` with the secret `SECRET`.

Where to look:

- `sandbox`: the `Sandbox` class and its options; `project`: the data it serves.
- `routes`: every path and its endpoint. `endpoints/` serves stored data, `reports/` computes
  reports from the events of the project, `writes/` stores what is written.
- `faults`: when a fault occurs; `fault_kinds`: the faults there are.
- `server/`: sockets, credentials, rate limits. `fake_data/`: the made-up project.

To add a list endpoint, add a row with `serve_list(...)` to `ROUTES` in `routes`. If the list is
new, give `Project` a field for it, which `Project.from_directory` then reads from a JSON file of
that name. Any other endpoint is a function `(Context, Request) -> Response`.
"""

from .fake_data.generator import made_up_project
from .fault_kinds import KINDS
from .faults import Fault, parse_fault
from .project import PROJECT_ID, Project
from .sandbox import Sandbox
from .server.auth import OAUTH_TOKEN, PROJECT_SECRET, SECRET, USERNAME
from .server.request_log import Record

__all__ = [
    "KINDS",
    "OAUTH_TOKEN",
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
