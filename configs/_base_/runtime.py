"""Runtime: what every run adds to the runtime of mmseg or mmdet.

Has no key that theirs has, so both can stand in one `_base_` list. The checkpoint hook
is theirs by key: `default_hooks = dict(checkpoint=dict(type=
'mmkd_ext.DistillCheckpointHook'))`.
"""

custom_hooks = [
    dict(type='mmkd_ext.ReproducibleStepHook'),
    dict(type='mmkd_ext.FiniteLossHook', action='stop'),
]
randomness = dict(seed=0)
