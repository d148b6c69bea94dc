"""Archives: directories of files that hold what Mixpanel served, day by day."""
