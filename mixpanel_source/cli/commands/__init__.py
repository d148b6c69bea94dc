"""The commands, one module each; those that look at what is loaded are in `explore`.

A module has `add_parser(commands)`, which declares the command and its options, and `run(options)`,
which carries it out, prints the result and returns the exit code. What takes long to import is
imported in `run`, because `--help` imports every module here.
"""

MODULES = (
    "init",
    "sync",
    "backfill",
    "catch_up",
    "archive",
    "check",
    "plan",
    "status",
    "reconcile",
    "forget",
    "request",
    "explore.views",
    "explore.sql",
    "explore.notebook",
    "explore.mcp",
    "sandbox",
    "demo",
    "completion",
)
"""The modules, in the order of `--help`."""
