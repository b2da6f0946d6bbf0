"""What we do at the ministry's register, SIPLatih. Serves the API, the command line and the tasks alike, and
knows neither Prefect nor FastAPI.
"""
