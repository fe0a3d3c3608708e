"""ReviewKD on the four backbone stages: DeepLabV3-R101 -> DeepLabV3-R18, Cityscapes.

Paper: Distilling Knowledge via Knowledge Review, CVPR 2021,
https://arxiv.org/abs/2104.09044; weight 1 and 512 channels in the middle, as its
ResNet18 on ImageNet. It has no semantic segmentation: this use and the warm-up are ours.
Command: bash tools/dist_train.sh CONFIG 4
Expected: no published figure is known to us. CIRKD's authors report 74.21 mIoU (val) for
the student alone at this schedule.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-512x1024_40k-cirkd.py',
    '../../../_base_/pairs/mmseg/deeplabv3-r101_deeplabv3-r18.py',
]
fusion = dict(
    type='mmkd_ext.ReviewKDFusion',
    levels=4,
    in_channels=(64, 128, 256, 512),
    mid_channels=512,
    channels=(256, 512, 1024, 2048),
)
model = dict(
    distiller=dict(
        type='mmkd_ext.LinkDistiller',
        links=dict(
            loss_reviewkd=dict(
                loss=dict(type='mmkd_ext.ReviewKDLoss', loss_weight=1.0),
                preds_S=dict(of='student', at='backbone', connector=fusion),
                preds_T=dict(of='teacher', at='backbone'),
                schedule=dict(type='linear', start=0.001, end=500),
            )
        ),
    )
)
