"""The HTTP server: connections, credentials, rate limits."""
