"""Between what a learner achieved and what others can check: serves the API, the tasks and the command line.

It knows records and providers, neither Prefect nor FastAPI.
"""
