"""Reports: how they are requested, what shape their replies have, and the rows they become."""
