"""The writing endpoints; what they store is served by the reading ones.

- `events`: /import and /track; `event_rules`: which events are refused; `event_lines`: how accepted
  events are stored; `inbox`: when they become visible and their duplicates disappear.
- `profile_updates`: /engage and /groups; `operations`: `$set`, `$union`, ...
- One module for each of the other APIs.
"""
