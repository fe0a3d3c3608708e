"""Task: Cityscapes val as the authors judge it, pictures at 1024 x 512."""

_base_ = [
    '../../../../configs/_base_/datasets/cityscapes_512x1024.py',
    'mmseg::_base_/default_runtime.py',
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(1024, 512), keep_ratio=True, backend='pillow'),
    dict(type='mmseg.LoadAnnotations'),
    dict(type='mmseg.PackSegInputs'),
]
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_evaluator = dict(type='mmkd_ext.ClassIoUMetric')
test_cfg = dict(type='TestLoop')
# nothing is trained
train_dataloader = val_dataloader = val_evaluator = None
