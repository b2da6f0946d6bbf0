"""The retryable steps of the business processes, as Prefect tasks; one file per process."""
