"""Stage one on digits: a classifier of 0 to 4, by labels. Others are left out.

Command: mmkd train CONFIG
Expected: see benchmarks/results/novel_digits.json.
Status: unrun
"""

_base_ = './base_digits.py'
model = _base_.network
