"""Task: COCO detection for 24 epochs, as mmdet trains it."""

_base_ = [
    'mmdet::_base_/datasets/coco_detection.py',
    'mmdet::_base_/default_runtime.py',
    'mmdet::_base_/schedules/schedule_2x.py',
]
default_hooks = dict(
    checkpoint=dict(type='mmkd_ext.DistillCheckpointHook', save_best='coco/bbox_mAP')
)
custom_hooks = [
    dict(type='mmkd_ext.ReproducibleStepHook'),
    dict(type='mmkd_ext.FiniteLossHook', action='stop'),
]
randomness = dict(seed=0)
