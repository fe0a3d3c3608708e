"""Inspired by RAKD, 480 x 360 -> 240 x 180: FPN on ResNet-18 on CamVid.

Paper: Resolution-Aware Knowledge Distillation for Efficient Inference, IEEE TIP 2021. Only
its abstract is public: terms, taps and weights are ours, see docs/howto/transfer.md.
Command: python benchmarks/repeat.py benchmarks/experiments/camvid_resolution.py
Expected: no figure yet.
Status: smoke
"""

_base_ = ['./base_rakd_fpn-r18-w32_fpn-r18-w8.py', './links/rakd.py']
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=_base_.links))
optim_wrapper = dict(
    constructor='mmkd_ext.AdversarialOptimWrapperConstructor',
    discriminator=dict(optimizer=dict(type='Adam', lr=4e-4, betas=(0.9, 0.99))),
)
