"""Between a learner's click and the last state of a payment: create, ask, notifications, expiry.

Serves the API and the tasks alike: it joins the gateways (`providers`) with what we know (`records`).
"""
