"""Check one batch of credentials in this process and die by SIGKILL at the N-th call into our own code.

Usage: checks_killed_at.py N PROCESS_RUN_ID…; N = 0 lives to the end. As register_killed_at.py does.
"""

import sys
from uuid import UUID

from register_killed_at import died_at

if __name__ == "__main__":
    from flows.verify_credential import verify_credential

    run_ids = [UUID(one) for one in sys.argv[2:]]
    died_at(int(sys.argv[1]), lambda: verify_credential(processes=run_ids, return_state=True))
