"""KA, stage two: DeepLabV3-R101 -> DeepLabV3-R18, Cityscapes.

Paper: Knowledge Adaptation for Efficient Semantic Segmentation, CVPR 2019,
https://arxiv.org/abs/1903.04688; as for the MobileNetV2 student, whose stage one serves
this one too: it is about the teacher alone.
Command: bash tools/dist_train.sh CONFIG 4
Expected: nothing is published for this pair.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-512x1024_90k-ka.py',
    '../../../_base_/pairs/mmseg/deeplabv3-r101_deeplabv3-r18.py',
    '../../../_base_/links/ka.py',
]
# ResNet-18's head is narrower
for link in _base_.distiller.links.values():
    link.preds_S.connector.in_channels = 128
_base_.distiller.connectors.encoder.teacher = _base_.model.teacher_ckpt
model = dict(distiller=_base_.distiller)
del link
