"""How fast, and in how much memory, a day's report is held against the ledger (`make bench`).

Other ways to do the same work on the same PostgreSQL in the same run give the scale: bare SQL, pandas,
datacompy. A wrong answer ends the run; a missed target is only printed.
"""
