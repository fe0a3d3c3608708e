"""CWD on logits of another output stride: DeepLabV3-R101, 8 -> R18, 16, Cityscapes.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; tau 4, weight 3, KD and adversary beside it as for
stride 8. Alignment resizes the student's logits to the teacher's. Strides and dilations
as mmseg's DeepLabV3 of stride 16.
Command: bash tools/dist_train.sh CONFIG 4
Expected: no published figure for this student is known to us.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-512x1024_40k-cirkd.py',
    '../../../_base_/pairs/mmseg/deeplabv3-r101_deeplabv3-r18.py',
    '../../../_base_/links/cirkd-comparison.py',
]
links = dict(loss_cwd=_base_.cwd, loss_kd=_base_.kd, loss_adversary=_base_.adversary)
model = dict(
    architecture=dict(
        backbone=dict(dilations=(1, 1, 1, 2), strides=(1, 2, 2, 1)),
        decode_head=dict(dilations=(1, 6, 12, 18)),
    ),
    distiller=dict(type='mmkd_ext.LinkDistiller', links=links),
)
optim_wrapper = _base_.adversarial
