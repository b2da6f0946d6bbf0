"""10,000 open exceptions: how long finance waits for a list, a filter, the ageing, and a sheet of all.

python -m benchmarks.exceptions
"""
