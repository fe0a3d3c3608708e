"""MGD, a student of another family: PSPNet-R101 -> DeepLabV3-R18, Cityscapes.

Paper: Masked Generative Distillation, ECCV 2022, https://arxiv.org/abs/2205.01529;
weights of its PSPNet-R18 config, whose logits term is here, too.
Command: bash tools/dist_train.sh CONFIG 4
Expected: the authors report 73.20 -> 76.31 mIoU (val). Not measured by us.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cityscapes-512x512_40k.py',
    '../../../_base_/pairs/mmseg/pspnet-r101-40k_pspnet-r18.py',
    '../../../_base_/links/mgd-backbone.py',
]
model = dict(
    architecture=dict(
        cfg_path='mmseg::deeplabv3/deeplabv3_r18-d8_4xb2-80k_cityscapes-512x1024.py',
        data_preprocessor=dict(size=(512, 512)),
    ),
    distiller=_base_.distiller,
)
param_scheduler = [
    dict(type='PolyLR', eta_min=1e-4, power=0.9, end=40000, by_epoch=False)
]
