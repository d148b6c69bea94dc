"""Events: the table `export`, loaded day by day."""
