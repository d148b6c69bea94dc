"""A made-up project: a small shop whose data is as awkward as that of real projects.

`shop` has the customers and their events, `saved_objects` what users save in a project; `generator`
puts them together.
"""
