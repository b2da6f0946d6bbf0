"""Small leaf files that every room may use: money, clock, errors, settings, redaction."""
