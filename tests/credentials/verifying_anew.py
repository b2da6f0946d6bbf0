"""A process that has just started, as after a restart: it checks the badges on its standard input, one a
line, and prints their states and the ids of the keys that it publishes, as JSON. Of the process before it, it
has the database and the settings alone."""

import json
import sys

from credentials import checking, ours
from records.db import unit_of_work


def main() -> None:
    states = [checking.check(line.strip().encode()).state for line in sys.stdin]
    with unit_of_work() as session:
        published = sorted(ours.public_keys(session))
    print(json.dumps({"states": states, "published": published}))


if __name__ == "__main__":
    main()
