"""The transformer student alone on CamVid: what distillation has to beat.

Command: python benchmarks/repeat.py benchmarks/experiments/camvid_segformer.py
Expected: 18.4 +- 0.2 mIoU on val (seeds 0 to 2, 2 CPU cores).
Status: measured
"""

_base_ = [
    '../../../configs/_base_/tasks/camvid-180x240.py',
    '../../../configs/_base_/pairs/mmseg/segformer-w32_segformer-w8.py',
]
model = dict(_delete_=True, **_base_.model.architecture)
model['data_preprocessor']['size'] = _base_.crop_size
model['decode_head']['num_classes'] = 11
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=2e-3, weight_decay=0.01)
)
iterations = 200
param_scheduler = [
    _base_.param_scheduler[0],
    dict(_base_.param_scheduler[1], end=iterations),
]
train_cfg = dict(max_iters=iterations, val_interval=iterations)
default_hooks = dict(checkpoint=dict(interval=iterations))
