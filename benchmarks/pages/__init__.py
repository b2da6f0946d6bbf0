"""What anybody reads: a credential in each of its forms, and the status list, in open loop."""
