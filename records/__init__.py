"""What we remember: payments, process runs, reconciliations; their rules, queries and migrations."""
