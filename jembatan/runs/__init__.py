"""How a flow run begins in a fraction of a second: as the fork of a process that has everything loaded.

Prefect's worker starts a Python for each run, which needs seconds to load Prefect and our flows. Here it
starts `start.py` instead, which loads nothing and asks the nursery, a process beside the worker, for a fork
of itself. Where there is no nursery, `start.py` becomes what the worker would have started.
"""
