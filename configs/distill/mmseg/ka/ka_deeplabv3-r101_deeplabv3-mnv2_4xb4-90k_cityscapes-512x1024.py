"""KA, stage two: DeepLabV3-R101 -> DeepLabV3-MobileNetV2, Cityscapes.

Paper: Knowledge Adaptation for Efficient Semantic Segmentation, CVPR 2019,
https://arxiv.org/abs/1903.04688; weights 50 and 1, schedule as printed; it gives no
p and q, those here are torchdistill's, in another loss. Stage one (`stage_one` of its links)
comes first; its result is looked for in work_dirs. If it is elsewhere:
--cfg-options model.distiller.connectors.encoder.checkpoint=FILE_OR_FOLDER
Command: bash tools/dist_train.sh CONFIG 4
Expected: the paper reports 70.2 -> 72.7 mIoU (test) for a MobileNetV2 of stride 16
without ASPP, from another teacher; nothing is known for this pair.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-512x1024_90k-ka.py',
    '../../../_base_/pairs/mmseg/deeplabv3-r101_deeplabv3-mnv2.py',
    '../../../_base_/links/ka.py',
]
_base_.distiller.connectors.encoder.teacher = _base_.model.teacher_ckpt
model = dict(distiller=_base_.distiller)
