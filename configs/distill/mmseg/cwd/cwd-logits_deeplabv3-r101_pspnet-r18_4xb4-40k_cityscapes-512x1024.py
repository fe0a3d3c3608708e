"""CWD on the logits, from a teacher of another family: DeepLabV3-R101 -> PSPNet-R18.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; tau 4, weight 3, schedule of CIRKD. Cityscapes.
Command: bash tools/dist_train.sh CONFIG 4
Expected: no figure of CWD for this pair is known to us. CIRKD's authors report 72.55
mIoU (val) for the student alone and 78.07 for their teacher.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-512x1024_40k-cirkd.py',
    '../../../_base_/pairs/mmseg/deeplabv3-r101_pspnet-r18.py',
    '../../../_base_/links/cwd-logits.py',
]
model = dict(distiller=_base_.distiller)
