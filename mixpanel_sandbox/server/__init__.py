"""The HTTP server: connections, routing, credentials and rate limits.

A request passes `connection` (sockets), `dispatcher` (routing, `auth`, `rate_limits`, faults), the
endpoint, and on the way back `encoding` (gzip and framing).
"""
