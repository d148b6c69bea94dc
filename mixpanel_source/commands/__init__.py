"""Commands that load nothing into the tables: check, plan, status, reconcile, request."""
