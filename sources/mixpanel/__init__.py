"""Loads events, profiles, cohorts and reports of a Mixpanel project.

The source is that of the package `mixpanel-source`, which `requirements.txt` installs.
"""

from mixpanel_source import mixpanel_source

__all__ = ["mixpanel_source"]
