"""Settings: what a user may set, where it is found and how it is checked."""
