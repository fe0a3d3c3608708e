"""FGD on P3 to P7: FCOS-R101 -> FCOS-R50, COCO 2x with multi-scale training.

Paper: Focal and Global Knowledge Distillation for Detectors, CVPR 2022,
https://arxiv.org/abs/2111.11837; weights of the authors' configs for detectors
without anchors (attention 8e-4, where the paper says 8e-3), tau 0.8. As there the
student has center sampling, normalised boxes, GIoU and an NMS of 0.6.
Command: bash tools/dist_train.sh CONFIG 8
Expected: 38.5 -> 42.7 AP (paper and the authors' repository; 38.5 is the plain FCOS of
mmdet's zoo).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/coco-ms_2x.py',
    '../../../_base_/pairs/mmdet/fcos-r101_fcos-r50.py',
    '../../../_base_/links/fgd-fpn.py',
]
_base_.distiller.links.loss_fgd.loss.update(
    weight_fg=1.6e-3, weight_bg=8e-4, weight_attention=8e-4, weight_global=8e-6, tau=0.8
)
model = dict(inherit=['neck', 'bbox_head'], distiller=_base_.distiller)
optim_wrapper = dict(
    optimizer=dict(lr=0.01),
    paramwise_cfg=dict(bias_lr_mult=2.0, bias_decay_mult=0.0),
    clip_grad=dict(max_norm=35, norm_type=2),
)
