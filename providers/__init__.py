"""The outside world, one module per service. Knows HTTP and signatures; no Prefect, no database."""
