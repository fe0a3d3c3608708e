"""KA, stage two: DeepLabV3-R101 -> DeepLabV3-R18, Cityscapes.

Paper: Knowledge Adaptation for Efficient Semantic Segmentation, CVPR 2019,
https://arxiv.org/abs/1903.04688; as for the MobileNetV2 student, whose stage one serves
this one too: it is about the teacher alone.
Command: bash tools/dist_train.sh CONFIG 4
Expected: nothing is published for this pair.
Status: unrun
"""

_base_ = [
    './ka_deeplabv3-r101_deeplabv3-mnv2_4xb4-90k_cityscapes-512x1024.py',
]
# ResNet-18's head is narrower
width = dict(connector=dict(in_channels=128))
model = dict(
    architecture=dict(
        cfg_path='mmseg::deeplabv3/deeplabv3_r18-d8_4xb2-80k_cityscapes-512x1024.py'
    ),
    distiller=dict(
        links=dict(loss_adapt=dict(preds_S=width), loss_affinity=dict(preds_S=width))
    ),
)
