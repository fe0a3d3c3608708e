"""TMU with the mean of the memories, so that closed gates leave the student's own.

Paper: none; the sum is that of the authors' code.
Command: mmkd train CONFIG
Expected: MSE 9.41 +- 0.16 of 16 videos; alone 9.25 +- 0.25
(seeds 0 to 2, CPU); benchmarks/results/tmu.json.
Status: measured
"""

_base_ = './tmu_digits.py'
model = dict(architecture=dict(merge='mean'))
