"""The commands, one module each, as those of `mixpanel_source.cli`.

A module has `add_parser(commands)`, which declares the command and its options, and `run(options)`,
which carries it out, prints the result and returns the exit code.
"""

MODULES: tuple[str, ...] = (
    "import_",
    "migrate",
    "verify",
    "retry",
    "status",
    "identity",
    "profiles",
    "groups",
    "lexicon",
    "annotations",
    "lookup_table",
    "pipelines",
    "gdpr",
    "request",
    "completion",
)
"""The modules, in the order of `--help`."""
