"""10,000 participants: checked as a sheet, handed in over the API, and reported to the sandbox's register at
its own pace. A small class is checked before, and the register's own books are held against both after."""
