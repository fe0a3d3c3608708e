"""What the distillations of SegFormer on CamVid share: task, pair, weights, optimizer.

Not to be run itself: it has no links.
"""

_base_ = [
    '../../../configs/_base_/tasks/camvid-180x240.py',
    '../../../configs/_base_/pairs/mmseg/segformer-w32_segformer-w8.py',
]
model = dict(
    architecture=dict(
        data_preprocessor=dict(size=_base_.crop_size),
        decode_head=dict(num_classes=11),
    ),
    teacher=dict(decode_head=dict(num_classes=11)),
    # made by: CAMVID_ROOT=<folder> python tools/train.py \
    #   benchmarks/configs/camvid/teacher_segformer-w32.py \
    #   --work-dir work_dirs/repeat/camvid_segformer/teacher
    teacher_ckpt='work_dirs/repeat/camvid_segformer/teacher/iter_1500.pth',
)
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
