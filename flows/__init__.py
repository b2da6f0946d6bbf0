"""The business processes, one file each. Read aloud, a flow is the process."""
