"""The transformer teacher on CamVid: SegFormer of MiT-B0's size, from scratch.

Seven and a half times as many iterations as its students.

Command: python tools/train.py benchmarks/configs/camvid/teacher_segformer-w32.py
Expected: 44.8 mIoU on val (seed 0, 2 CPU cores).
Status: measured
"""

_base_ = [
    '../../../configs/_base_/tasks/camvid-180x240.py',
    '../../../configs/_base_/pairs/mmseg/segformer-w32_segformer-w8.py',
]
iterations = 1500
model = dict(_delete_=True, **_base_.model.teacher)
model['data_preprocessor']['size'] = _base_.crop_size
model['decode_head']['num_classes'] = 11
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=1e-3, weight_decay=0.01),
)
param_scheduler = [
    _base_.param_scheduler[0],
    dict(_base_.param_scheduler[1], end=iterations),
]
train_cfg = dict(max_iters=iterations, val_interval=500)
default_hooks = dict(checkpoint=dict(interval=iterations))
