"""CWD on the logits of a student in fake int8 from half of the schedule on: CamVid.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; tau 4 and weight 3 as published. The teacher computes in
float32.
Command: python benchmarks/repeat.py benchmarks/experiments/camvid_fpn_int8.py
Expected: not measured to the end.
Status: smoke
"""

_base_ = ['./base_fpn-r18-w32_fpn-r18-w8.py', './links/cwd-logits.py']
model = dict(
    architecture=dict(
        _delete_=True, type='mmkd_ext.Quantized', model=_base_.model.architecture
    ),
    distiller=dict(type='mmkd_ext.LinkDistiller', links=_base_.links),
)
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='mmkd_ext.QuantizeHook', start=1000, freeze=1800),
]
