"""CWD on the features before the classifier: PSPNet-R101 -> PSPNet-R18, Cityscapes.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; tau 4 and weight 50 as in CIRKD's re-implementation. The
1x1 convolution from 128 to 512 channels is added by alignment.
Command: bash tools/dist_train.sh CONFIG 4
Expected: no figure for this schedule is known to us. The authors report 69.10 -> 74.27
mIoU (val, mean of 3) for features after 40k iterations at 512x512.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-512x1024_80k.py',
    '../../../_base_/pairs/mmseg/pspnet-r101_pspnet-r18.py',
    '../../../_base_/links/cwd-feat.py',
]
model = dict(distiller=_base_.distiller)
