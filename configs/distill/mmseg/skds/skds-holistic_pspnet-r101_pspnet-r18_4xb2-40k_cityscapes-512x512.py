"""SKDS, all three terms: PSPNet-R101 -> PSPNet-R18, Cityscapes.

Paper: Structured Knowledge Distillation for Semantic Segmentation, CVPR 2019,
https://arxiv.org/abs/1903.04197; holistic term, discriminator and its optimizer from the
authors' code. That trains by WGAN-GP; here it is hinge, its other mode, since users met
NaN with the first: `mode='wgan-gp'` brings it back. They normalise the discriminator's
batch of 8 images, here that of a GPU.
Command: bash tools/dist_train.sh CONFIG 4
Expected: the authors report 69.10 -> 74.08 mIoU (val) with these three terms, and 71.78
without the holistic one, from a teacher of 78.56. Not measured by us.
Status: unrun
"""

_base_ = 'skds_pspnet-r101_pspnet-r18_4xb2-40k_cityscapes-512x512.py'
logits = 'decode_head.conv_seg'
model = dict(
    distiller=dict(
        links=dict(
            loss_holistic=dict(
                loss=dict(
                    type='mmkd_ext.SKDSHolisticLoss',
                    channels=19,
                    discriminator_weight=0.1,
                    loss_weight=0.1,
                ),
                preds_S=dict(of='student', at=logits),
                preds_T=dict(of='teacher', at=logits),
            ),
        ),
    ),
)
optim_wrapper = dict(
    constructor='mmkd_ext.AdversarialOptimWrapperConstructor',
    discriminator=dict(
        optimizer=dict(type='SGD', lr=4e-4, momentum=0.9, weight_decay=5e-4)
    ),
)
poly = dict(eta_min=0.0, power=0.9, end=40000, by_epoch=False)
param_scheduler = [
    dict(type='PolyLR', **poly),
    dict(type='mmkd_ext.DiscriminatorScheduler', scheduler='PolyLR', **poly),
]
