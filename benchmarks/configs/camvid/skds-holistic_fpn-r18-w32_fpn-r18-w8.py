"""SKDS, all three terms: FPN on ResNet-18 on CamVid.

Paper: Structured Knowledge Distillation for Semantic Segmentation, CVPR 2019,
https://arxiv.org/abs/1903.04197; a learning rate of 4e-4 for the discriminator as
published, hinge instead of WGAN-GP, and weight 0.001 as CIRKD, CWD and IFVD have it.
Command: python benchmarks/repeat.py benchmarks/experiments/camvid_fpn.py
Expected: not measured with 2,000 iterations. With 200 it had 20.9 +- 1.2 mIoU on val
(seeds 0 to 2, 2 CPU cores), the student alone 20.1 +- 1.5.
Status: smoke
"""

_base_ = ['./base_fpn-r18-w32_fpn-r18-w8.py', './links/skds.py', './links/adversary.py']
model = dict(
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        links=dict(**_base_.links, loss_holistic=_base_.adversary),
    )
)
optim_wrapper = dict(
    constructor='mmkd_ext.AdversarialOptimWrapperConstructor',
    discriminator=dict(optimizer=dict(type='Adam', lr=4e-4, betas=(0.9, 0.99))),
)
