"""Open Badges 3.0: what a badge says, its signatures, status lists and images; and checking anybody's badge.

Specification: https://www.imsglobal.org/spec/ob/v3p0 (final, errata of 2025), read 2026-11-29. Signatures,
canonical forms and contexts come from `openbadgeslib`; docs/decisions/0024 says where it serves.
"""
