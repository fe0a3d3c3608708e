"""Adaptation: ESPNetv2 of width 2.0 from Cityscapes on CamVid in changing light.

The source is the checkpoint on the command line, espnetv2-w20.pth as the converter wrote
it; nothing was trained on CamVid. It predicts the 20 outputs of Cityscapes and is judged
in CamVid's 11 classes. Another width wants another checkpoint and, for 0.5, 1.0, 1.5,

    --cfg-options model.architecture.backbone.width=0.5 \\
        model.architecture.decode_head.in_channels="[16,32,64,128]"    # 0.5
        ... "[32,64,128,256]"    # 1.0
        ... "[32,96,192,384]"    # 1.5

CamVid is looked for in ``$CAMVID_ROOT``. Rates and mixing were chosen on pictures of
`train` by one rule for all, benchmarks/experiments/adapt_espnetv2_rates.py.
"""

_base_ = [
    './espnetv2.py',
    '../../../../configs/_base_/streams/camvid-256x512-day-dusk-weather.py',
    'mmseg::_base_/default_runtime.py',
]
model = dict(
    type='mmkd_ext.ContinualAdaptation',
    architecture=_base_.espnetv2.w20,
    class_map=[3, 4, 1, 1, 7, 2, 6, 6, 5, 5, 0, 9, 10, 8, 8, 8, 8, 10, 10, 1],
)
test_cfg = dict(optim_wrapper=dict(optimizer=dict(type='Adam', lr=1e-4)))
custom_hooks = [
    dict(type='mmkd_ext.ReproducibleStepHook'),
    dict(type='mmkd_ext.FiniteLossHook', action='stop'),
]
randomness = dict(seed=0)
