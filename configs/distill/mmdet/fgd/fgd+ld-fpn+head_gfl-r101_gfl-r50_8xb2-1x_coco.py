"""FGD on P3 to P7 and LD on the positives: GFL-R101 -> GFL-R50, COCO 1x.

Paper: Focal and Global Knowledge Distillation for Detectors, CVPR 2022,
https://arxiv.org/abs/2111.11837, with the main term of Localization Distillation for
Dense Object Detection, CVPR 2022, https://arxiv.org/abs/2102.12252; each with its own
weights.
Command: bash tools/dist_train.sh CONFIG 8
Expected: no published figure for the combination is known to us; FGD alone 43.5, LD
alone (main and VLR, with KD) 42.1 AP.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_1x.py',
    '../../../_base_/pairs/mmdet/gfl-r101_gfl-r50.py',
    '../../../_base_/links/fgd+ld-fpn+head.py',
]
model = dict(inherit=['neck', 'bbox_head'], distiller=_base_.distiller)
optim_wrapper = dict(optimizer=dict(lr=0.01), clip_grad=dict(max_norm=35, norm_type=2))
