"""CIRKD, second version: DeepLabV3-R101 -> DeepLabV3-MobileNetV2, Cityscapes.

Paper: Cross-Image Relational Knowledge Distillation for Semantic Segmentation, CVPR
2022, https://arxiv.org/abs/2204.06986; terms, weights and schedule of the second version
of the authors' code, which has no script for this student.
Command: bash tools/dist_train.sh CONFIG 8
Expected: no figure for this pair is known to us; the first version reached 75.42 mIoU
(val).
Status: unrun
"""

_base_ = './cirkd-v2_deeplabv3-r101_deeplabv3-r18_8xb1-80k_cityscapes-512x1024.py'
model = dict(
    architecture=dict(
        cfg_path='mmseg::mobilenet_v2/'
        'mobilenet-v2-d8_deeplabv3_4xb2-80k_cityscapes-512x1024.py'
    ),
    distiller=dict(connectors=dict(heads=dict(in_channels=512))),
)
