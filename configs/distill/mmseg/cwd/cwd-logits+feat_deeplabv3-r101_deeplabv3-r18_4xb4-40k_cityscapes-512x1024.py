"""CWD on logits and features, as CIRKD compares it: DeepLabV3-R101 -> R18, Cityscapes.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; tau 4 on both, weights 3 and 50, KD and adversary beside
them, and the schedule from CIRKD's script.
Command: bash tools/dist_train.sh CONFIG 4
Expected: CIRKD's authors measured 74.21 -> 75.55 mIoU (val) for CWD from a teacher of
78.07. Not measured by us.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-512x1024_40k-cirkd.py',
    '../../../_base_/pairs/mmseg/deeplabv3-r101_deeplabv3-r18.py',
    '../../../_base_/links/cirkd-comparison.py',
]
links = dict(
    loss_cwd=_base_.cwd,
    loss_kd=_base_.kd,
    loss_adversary=_base_.adversary,
    loss_cwd_feat=_base_.cwd_feat,
)
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=links))
optim_wrapper = _base_.adversarial
