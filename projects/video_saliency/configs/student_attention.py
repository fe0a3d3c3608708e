"""The spatiotemporal student alone, 24 x 24 of frames of 48 x 48.

Paper: Spatiotemporal Knowledge Distillation for Efficient Estimation of Aerial Video
Saliency, TIP 2020, https://arxiv.org/abs/1904.04992; inspired by its abstract.
Command: mmkd train CONFIG
Expected: see benchmarks/results/video_saliency.json.
Status: measured
"""

_base_ = '../../tmu/configs/base_video.py'
custom_imports = dict(imports=['projects.video_saliency'])
model = dict(type='mmkd_ext.SaliencyNet', width=8, depth=3, shrink=2)
train_dataloader = dict(
    _base_.loader,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(type='mmkd_ext.AttentionVideos', length=400),
)
val_dataloader = dict(
    _base_.loader,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='mmkd_ext.AttentionVideos', length=200, split='test'),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mmkd_ext.AttentionMetric')
test_evaluator = val_evaluator
custom_hooks = [*_base_.custom_hooks, dict(type='mmkd_ext.FramesPerSecond')]
