"""Programs at the sandbox's register, over a real stack with Prefect's worker: one from the API call until it
is registered; then a file of 10,000, in batches, beside a bare client that makes the same calls."""
