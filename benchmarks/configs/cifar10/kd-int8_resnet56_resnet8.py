"""KD of a student in fake int8 from half of the schedule on: ResNet-56 -> ResNet-8.

Paper: Distilling the Knowledge in a Neural Network, 2015,
https://arxiv.org/abs/1503.02531; tau 4, weight 0.9, and 0.1 of the cross entropy, as
RepDistiller. The teacher computes in float32.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet8_int8.py
Expected: not measured to the end.
Status: smoke
"""

_base_ = [
    './base_resnet56_resnet8.py',
    '../../../configs/_base_/links/kd-head.py',
]
model = dict(
    architecture=dict(
        _delete_=True, type='mmkd_ext.Quantized', model=_base_.model.architecture
    ),
    distiller=_base_.distiller,
)
model['architecture']['model']['head']['loss']['loss_weight'] = 0.1
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='mmkd_ext.QuantizeHook', start=1560, freeze=2808),
]
