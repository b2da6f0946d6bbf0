"""SIPLatih, the ministry's register of trainings: register a program, report who completed it, check a
credential.

Docs: none. No specification of this interface is published; what is here is the platform's own assumption
of it (docs/siplatih.md). So every address and path is a setting, members that we do not know are passed over,
and an answer that we do not understand is never taken for a yes.
"""
