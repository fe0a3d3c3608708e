"""AT on the features before the classifier: PSPNet-R101 -> PSPNet-R18, Cityscapes.

Paper: Paying More Attention to Attention, ICLR 2017, https://arxiv.org/abs/1612.03928;
weight 10000 as in CIRKD's re-implementation.
Command: bash tools/dist_train.sh CONFIG 4
Expected: CWD's authors report 69.10 -> 72.37 mIoU (val) for AT on features at this
schedule, with a teacher of 78.56. Not measured by us.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-512x512_40k.py',
    '../../../_base_/pairs/mmseg/pspnet-r101_pspnet-r18.py',
    '../../../_base_/links/at-feat.py',
]
model = dict(
    architecture=dict(data_preprocessor=dict(size=(512, 512))),
    distiller=_base_.distiller,
)
