"""CIRKD with channel relations: DeepLabV3-R101 -> DeepLabV3-MobileNetV2, Cityscapes.

Paper: Cross-Image Relational Knowledge Distillation for Semantic Segmentation, CVPR
2022, https://arxiv.org/abs/2204.06986; channel terms and their weights from the second
version of the authors' code, whose terms of weight 0 are left out.
Command: bash tools/dist_train.sh CONFIG 4
Expected: no figure for this pair is known to us; 75.42 mIoU (val) without these terms.
Status: unrun
"""

_base_ = './cirkd_deeplabv3-r101_deeplabv3-mnv2_4xb4-40k_cityscapes-512x1024.py'
sides = dict(preds_S=_base_.projected, preds_T=_base_.taught)
model = dict(
    distiller=dict(
        links=dict(
            loss_channel=dict(
                loss=dict(type='mmkd_ext.CIRKDChannelLoss', tau=0.1, pool=4), **sides
            ),
            loss_channel_memory=dict(
                loss=dict(
                    type='mmkd_ext.CIRKDChannelMemoryLoss',
                    map_size=(16, 32),
                    size=10000,
                    samples=2048,
                    new_keys=256,
                    tau=0.1,
                    loss_weight=0.1,
                ),
                **sides,
            ),
        )
    )
)
