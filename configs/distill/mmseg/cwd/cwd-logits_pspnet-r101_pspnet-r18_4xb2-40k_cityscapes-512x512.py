"""CWD on the logits: PSPNet-R101 -> PSPNet-R18, Cityscapes, the authors' schedule.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; tau 4 and weight 3 from the authors' scripts.
Command: bash tools/dist_train.sh CONFIG 4
Expected: the authors report 69.10 -> 74.87 mIoU (val, mean of 3) from a teacher of 78.56.
Not measured by us.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-512x512_40k.py',
    '../../../_base_/pairs/mmseg/pspnet-r101_pspnet-r18.py',
    '../../../_base_/links/cwd-logits.py',
]
model = dict(
    architecture=dict(data_preprocessor=dict(size=(512, 512))),
    distiller=_base_.distiller,
)
