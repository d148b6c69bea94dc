"""Profiles: of users, of groups and of the members of cohorts."""
