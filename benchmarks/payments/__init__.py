"""How fast payments are: a charge through our API, what gateways tell us, and the sweep (`make bench`).

Everything is real and on one machine: PostgreSQL, the API as the stack starts it, the sandbox as gateway, and
a load maker in a process of its own. A wrong answer ends the run; a missed target is only printed.
"""
