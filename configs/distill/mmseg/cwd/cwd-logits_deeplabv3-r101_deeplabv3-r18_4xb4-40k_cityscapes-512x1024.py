"""CWD on the logits: DeepLabV3-R101 -> DeepLabV3-R18, Cityscapes.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; tau 4, weight 3, schedule, KD and adversary beside it as
CIRKD compares it, which has features too: `cwd-logits+feat`.
Command: bash tools/dist_train.sh CONFIG 4
Expected: no figure for logits alone is known to us. CIRKD's authors measured 74.21 ->
75.55 mIoU (val) with features too.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-512x1024_40k-cirkd.py',
    '../../../_base_/pairs/mmseg/deeplabv3-r101_deeplabv3-r18.py',
    '../../../_base_/links/cirkd-comparison.py',
]
links = dict(loss_cwd=_base_.cwd, loss_kd=_base_.kd, loss_adversary=_base_.adversary)
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=links))
optim_wrapper = _base_.adversarial
