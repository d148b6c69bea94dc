"""Report endpoints, and what they share: deduplicated events, time buckets and counts.

`events` reads the events of the project, `time_buckets` divides the date range, `counts` counts
events by segment and bucket; every other module has the endpoints of one kind of report.
"""
