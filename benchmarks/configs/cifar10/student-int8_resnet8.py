"""The student alone on CIFAR-10, in fake int8 from half of the schedule on.

Paper: Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference, CVPR 2018, https://arxiv.org/abs/1712.05877.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet8_int8.py
Expected: not measured to the end.
Status: smoke
"""

_base_ = './student_resnet8.py'
model = dict(_delete_=True, type='mmkd_ext.Quantized', model=_base_.model)
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='mmkd_ext.QuantizeHook', start=1560, freeze=2808),
]
