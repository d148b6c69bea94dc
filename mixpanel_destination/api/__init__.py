"""HTTP: one client, its pace and its waits, and what replies mean."""
