"""Adaptation: DeepLabV3+ R50 of mmseg's model zoo, from Cityscapes to SHIFT, 10 rounds.

No published table with it is known to us: the learning rate is that of CoTTA's tables
on SegFormer-B5 and ACDC until it is chosen on another stream.
"""

_base_ = ['./deeplabv3plus-r50_cityscapes.py', '../streams/cityscapes-to-shift.py']
test_cfg = dict(optim_wrapper=dict(optimizer=dict(type='Adam', lr=6e-5 / 8)))
