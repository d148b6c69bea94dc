"""Where the work of a job on events is done: in its own process, or on the workers of a cluster."""
