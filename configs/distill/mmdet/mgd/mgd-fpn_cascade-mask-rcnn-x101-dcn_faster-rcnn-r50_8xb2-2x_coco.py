"""MGD on four FPN levels: Cascade Mask R-CNN-X101-DCN -> Faster R-CNN-R50, COCO 2x.

Paper: Masked Generative Distillation, ECCV 2022, https://arxiv.org/abs/2205.01529;
ratio 0.45, weight 5e-7 and clipping at 35 as in yzd-v/MGD for two-stage detectors; as
there this teacher, and nothing of it is inherited.
Command: bash tools/dist_train.sh CONFIG 8
Expected: 42.1 AP from 38.4 (yzd-v/MGD).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco_2x.py',
    '../../../_base_/pairs/mmdet/cascade-mask-rcnn-x101-dcn_faster-rcnn-r50.py',
    '../../../_base_/links/mgd-fpn-two-stage.py',
]
model = dict(distiller=_base_.distiller)
optim_wrapper = dict(optimizer=dict(lr=0.02), clip_grad=dict(max_norm=35, norm_type=2))
