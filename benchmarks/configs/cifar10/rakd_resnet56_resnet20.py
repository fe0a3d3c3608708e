"""Inspired by RAKD, 32 x 32 -> 16 x 16: ResNet-56 -> ResNet-20 on CIFAR-10.

Paper: Resolution-Aware Knowledge Distillation for Efficient Inference, IEEE TIP 2021. Only
its abstract is public: terms, taps and weights are ours, see docs/howto/transfer.md.
Command: CIFAR10_ROOT=... python tools/train.py CONFIG
Expected: no figure yet.
Status: smoke
"""

_base_ = ['./base_resnet56_resnet20.py', './links/rakd.py']
model = dict(
    student_input=dict(scale=0.5),
    distiller=dict(type='mmkd_ext.LinkDistiller', links=_base_.links),
)
small = dict(type='Resize', scale=16)
test_pipeline = [dict(type='LoadImageFromFile'), small, dict(type='PackInputs')]
val_dataloader = test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
