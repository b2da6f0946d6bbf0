"""Bank statements: CSV by a column map, SWIFT MT940, ISO 20022 camt.053; each entry exactly as it stands."""
