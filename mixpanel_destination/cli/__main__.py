"""`python -m mixpanel_destination.cli` is `mixpanel-destination`."""

from .app import run

run()
