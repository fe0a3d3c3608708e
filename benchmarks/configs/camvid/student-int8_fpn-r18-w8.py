"""The student alone on CamVid, in fake int8 from half of the schedule on.

Paper: Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference, CVPR 2018, https://arxiv.org/abs/1712.05877.
Command: python benchmarks/repeat.py benchmarks/experiments/camvid_fpn_int8.py
Expected: not measured to the end.
Status: smoke
"""

_base_ = './student_fpn-r18-w8.py'
model = dict(_delete_=True, type='mmkd_ext.Quantized', model=_base_.model)
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='mmkd_ext.QuantizeHook', start=1000, freeze=1800),
]
