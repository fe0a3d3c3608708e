"""MGD: ResNet-56 -> ResNet-20 on CIFAR-10.

Paper: Masked Generative Distillation, ECCV 2022,
https://arxiv.org/abs/2205.01529; weight 7e-5 and ratio 0.15, as the authors for ImageNet.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet20.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = [
    './base_resnet56_resnet20.py',
    '../../../configs/_base_/links/mgd-last.py',
]
_base_.distiller.links.loss_mgd.preds_S.connector.update(
    in_channels=64, channels=64
)
model = dict(distiller=_base_.distiller)
