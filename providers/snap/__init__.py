"""The national SNAP interface (direct debit), once for all aggregators that speak it.

profiles: what each aggregator does differently, as data. bodies: what is asked. client: how a call is signed
and sent. tokens: the B2B token. codes: what an answer means. answers: what is read from one. notifications:
what comes in, and the replies. gateway: the verbs of a wallet behind SNAP. history: the report source.
"""
