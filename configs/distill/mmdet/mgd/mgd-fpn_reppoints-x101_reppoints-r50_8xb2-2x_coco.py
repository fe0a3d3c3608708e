"""MGD on the five FPN levels: RepPoints-X101-DCN -> RepPoints-R50, COCO 2x.

Paper: Masked Generative Distillation, ECCV 2022, https://arxiv.org/abs/2205.01529;
ratio 0.65, weight 2e-5 and clipping at 35 as in yzd-v/MGD for one-stage detectors. Taps
the neck behind its group norm, where mmrazor and FGD tap the convolution before it.
Command: bash tools/dist_train.sh CONFIG 8
Expected: 42.3 AP from 38.6 (yzd-v/MGD).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_2x.py',
    '../../../_base_/pairs/mmdet/reppoints-x101_reppoints-r50.py',
    '../../../_base_/links/mgd-fpn.py',
]
model = dict(inherit=['neck', 'bbox_head'], distiller=_base_.distiller)
optim_wrapper = dict(optimizer=dict(lr=0.01), clip_grad=dict(max_norm=35, norm_type=2))
