"""A discriminator on features: FPN on ResNet-18 on CamVid.

Paper: Structured Knowledge Distillation for Semantic Segmentation, CVPR 2019,
https://arxiv.org/abs/1903.04197, whose discriminator looks at logits; here it looks at
what a link gives it, the last features. Learning rate and weight as in
skds-holistic_fpn-r18-w32_fpn-r18-w8.py.
Command: python tools/train.py
    benchmarks/configs/camvid/adversarial-feat_fpn-r18-w32_fpn-r18-w8.py
Expected: nobody has published this; not measured.
Status: unrun
"""

_base_ = ['./base_fpn-r18-w32_fpn-r18-w8.py', './links/fitnets-feat.py']
adapter = dict(type='mmkd_ext.ConvAdapter', in_channels=8, out_channels=32)
adversary = dict(
    loss=dict(type='mmkd_ext.SKDSHolisticLoss', channels=32, loss_weight=0.001),
    preds_S=dict(of='student', **_base_.feature, connector=adapter),
    preds_T=dict(of='teacher', **_base_.feature),
)
links = dict(**_base_.links, loss_adversary=adversary)
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=links))
optim_wrapper = dict(
    constructor='mmkd_ext.AdversarialOptimWrapperConstructor',
    discriminator=dict(optimizer=dict(type='Adam', lr=4e-4, betas=(0.9, 0.99))),
)
del adapter, adversary, links
