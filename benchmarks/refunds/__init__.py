"""How long 500 refunds take, through the whole stack and under the gateway's own pace.

`python -m benchmarks.refunds`. The sandbox's books are looked at afterwards: a fast wrong answer is none.
"""
