"""What is known of a run, in files that survive a kill."""
