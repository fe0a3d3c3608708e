"""SKDS, all three terms: PSPNet-R101 -> PSPNet-R18, Cityscapes.

Paper: Structured Knowledge Distillation for Semantic Segmentation, CVPR 2019,
https://arxiv.org/abs/1903.04197; weight 0.1 of the holistic term and a learning rate
of 4e-4 for its discriminator from the authors' code. That trains by WGAN-GP; here it is
hinge, its other mode, since users met NaN with the first: `mode='wgan-gp'` brings it
back. Adam with betas of 0.9 and 0.99, and a constant learning rate, are our choice.
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
                    type='mmkd_ext.SKDSHolisticLoss', channels=19, loss_weight=0.1
                ),
                preds_S=dict(of='student', at=logits),
                preds_T=dict(of='teacher', at=logits),
                inputs=dict(of='batch', at='inputs'),
            ),
        ),
    ),
)
optim_wrapper = dict(
    constructor='mmkd_ext.AdversarialOptimWrapperConstructor',
    discriminator=dict(optimizer=dict(type='Adam', lr=4e-4, betas=(0.9, 0.99))),
)
