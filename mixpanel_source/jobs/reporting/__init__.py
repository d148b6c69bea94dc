"""How runs of jobs are reported: metrics for Prometheus, and a notice of failures."""
