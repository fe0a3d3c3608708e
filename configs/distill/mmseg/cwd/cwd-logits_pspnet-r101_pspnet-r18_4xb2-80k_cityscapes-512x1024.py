"""CWD on the logits: PSPNet-R101 -> PSPNet-R18, Cityscapes.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; tau 4 and weight 3 from the authors' scripts.
Command: bash tools/dist_train.sh CONFIG 4
Expected: no figure for this schedule with these weights is known to us. The authors
report 69.10 -> 74.87 mIoU (val, mean of 3) after 40k iterations at 512x512, mmrazor
74.87 -> 75.54 at this schedule with tau 1 and weight 5.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-512x1024_80k.py',
    '../../../_base_/pairs/mmseg/pspnet-r101_pspnet-r18.py',
    '../../../_base_/links/cwd-logits.py',
]
model = dict(distiller=_base_.distiller)
