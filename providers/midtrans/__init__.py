"""The Midtrans Core API, which GoPay is reached through.

codes: what an answer means. answers: what is read from one. notifications: what comes in, and the replies.
The verbs are in providers/gopay.py.
"""
