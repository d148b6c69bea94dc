"""PostgreSQL: its destination, its copies, credentials and waits."""
