"""SimKD: ResNet-56 -> ResNet-8 on CIFAR-10.

Paper: Knowledge Distillation with the Reused Teacher Classifier, CVPR 2022,
https://arxiv.org/abs/2203.14001; weight 1, factor 2, no other loss, as the authors. The
student has the projector too.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet8.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = [
    './base_resnet56_resnet8.py',
    '../../../configs/_base_/links/simkd-last.py',
]
head = dict(
    _delete_=True,
    type='mmkd_ext.SimKDHead',
    channels=64,
    factor=2,
    head=_base_.network.head,
)
model = dict(
    architecture=dict(neck=None, head=head),
    inherit={'head.fc.classifier': 'head.fc'},
    calculate_student_loss=False,
    distiller=_base_.distiller,
)
del head
