"""The command line, and the local stack that it runs on."""
