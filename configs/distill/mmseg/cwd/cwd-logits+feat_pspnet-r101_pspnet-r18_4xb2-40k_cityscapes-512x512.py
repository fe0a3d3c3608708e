"""CWD on logits and features together: PSPNet-R101 -> PSPNet-R18, Cityscapes.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; the feature's tau 4 and weight 50 as in CIRKD's
re-implementation, which has both taps.
Command: bash tools/dist_train.sh CONFIG 4
Expected: no figure for both together is known to us. The authors report 74.87 mIoU (val)
with logits alone and 74.27 with features alone, from 69.10.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-512x512_40k.py',
    '../../../_base_/pairs/mmseg/pspnet-r101_pspnet-r18.py',
    '../../../_base_/links/cwd-logits+feat.py',
]
model = dict(
    architecture=dict(data_preprocessor=dict(size=(512, 512))),
    distiller=_base_.distiller,
)
