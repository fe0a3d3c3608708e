"""TMU with the mean of the memories, so that closed gates leave the student's own.

Paper: none; the sum is that of the authors' code.
Command: mmkd train CONFIG
Expected: nothing was measured.
Status: unrun
"""

_base_ = './tmu_digits.py'
model = dict(architecture=dict(merge='mean'))
