"""SKDS, pixel and pair-wise terms: PSPNet-R101 -> PSPNet-R18, Cityscapes.

Paper: Structured Knowledge Distillation for Semantic Segmentation, CVPR 2019,
https://arxiv.org/abs/1903.04197; regions of half the map and weight 0.5 from the
authors' script. Its pixel term of weight 10 is a sum over the 8 images of its one device;
`KDLoss` is a mean over images, so its weight is 80, on however many GPUs these are.
Without their holistic (adversarial) term, which `skds-holistic_*` adds.
Command: bash tools/dist_train.sh CONFIG 4
Expected: the authors report 69.10 -> 71.78 mIoU (val) with these two terms, and 74.08
with the holistic one, from a teacher of 78.56. Not measured by us.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-512x512_40k.py',
    '../../../_base_/pairs/mmseg/pspnet-r101_pspnet-r18.py',
    '../../../_base_/links/skds.py',
]
model = dict(
    architecture=dict(data_preprocessor=dict(size=(512, 512))),
    distiller=_base_.distiller,
)
