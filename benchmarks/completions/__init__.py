"""10,000 participants: checked as a sheet, handed in over the API, and reported to the sandbox's register by
a worker. What is timed was checked before, and the register's own books are held against it after."""
