"""Task: Cityscapes at 512x1024 for 40k iterations of 4 x 4 images, for SegFormer.

Crops, images and length as CIRKD, which uses AdamW; the rest is SegFormer's own schedule.
A student from a config of other crops needs `architecture=dict(data_preprocessor=
dict(size=(512, 1024)))`.
"""

_base_ = [
    '../runtime.py',
    '../schedules/segformer_160k.py',
    'mmseg::_base_/datasets/cityscapes.py',
    'mmseg::_base_/default_runtime.py',
]
train_dataloader = dict(batch_size=4, num_workers=4)
param_scheduler = [
    _base_.warm_up,
    dict(type='PolyLR', eta_min=0.0, power=1.0, begin=1500, end=40000, by_epoch=False),
]
train_cfg = dict(max_iters=40000, val_interval=4000)
default_hooks = dict(checkpoint=dict(interval=4000))
