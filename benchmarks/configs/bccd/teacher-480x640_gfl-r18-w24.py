"""The GFL teacher on BCCD at 640 x 480: 3/8 of a ResNet-18, from scratch.

Command: BCCD_ROOT=... python tools/train.py CONFIG
Expected: no figure yet.
Status: unrun
"""

_base_ = './base_480x640.py'
iterations = 3000
model = dict(_delete_=True, **_base_.model.teacher)
test_dataloader = dict(dataset=dict(pipeline=_base_.whole_pipeline))
param_scheduler = [
    _base_.param_scheduler[0],
    dict(_base_.param_scheduler[1], end=iterations),
]
train_cfg = dict(max_iters=iterations)
