"""`python -m mixpanel_source.cli` is `mixpanel-source`."""

from .app import run

run()
