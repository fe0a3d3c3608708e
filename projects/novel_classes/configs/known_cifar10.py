"""Stage one on CIFAR-10: a classifier of airplane to deer, by labels.

Command: CIFAR10_ROOT=... mmkd train CONFIG
Expected: nothing was measured.
Status: unrun
"""

_base_ = './base_cifar10.py'
model = _base_.network
