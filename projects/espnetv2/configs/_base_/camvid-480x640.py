"""Task: CamVid at 640 x 480, judged at its own 480 x 360; 600 iterations of 4.

The data set is looked for in ``$CAMVID_ROOT``, by default ``data/camvid``.
"""

_base_ = ['../../../../configs/_base_/tasks/camvid-180x240.py']
crop_size = (288, 384)
iterations = 600

train_pipeline = _base_.train_pipeline
train_pipeline[2].update(scale=(640, 480), ratio_range=(0.75, 1.5))
train_pipeline[3].update(crop_size=crop_size)
# decoder and resize as where the figures of the README were measured
test_pipeline = [
    dict(type='LoadImageFromFile', imdecode_backend='pillow'),
    dict(
        type='Resize',
        scale=(640, 480),
        keep_ratio=True,
        interpolation='bicubic',
        backend='pillow',
    ),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=1, dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(batch_size=1, dataset=dict(pipeline=test_pipeline))

# a network that is trained already: Adam at a low rate, no warm-up from nothing
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='Adam', lr=5e-4, weight_decay=1e-5)
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=50, by_epoch=False),
    dict(
        type='PolyLR', power=0.9, eta_min=1e-6, begin=50, end=iterations, by_epoch=False
    ),
]
train_cfg = dict(max_iters=iterations, val_interval=iterations)
default_hooks = dict(checkpoint=dict(interval=iterations))
