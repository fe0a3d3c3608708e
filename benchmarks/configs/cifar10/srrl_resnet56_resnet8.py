"""SRRL: ResNet-56 -> ResNet-8 on CIFAR-10.

Paper: Knowledge Distillation via Softmax Regression Representation Learning, ICLR 2021,
https://github.com/jingyang2017/KD_SRRL; both weights 1, as the authors for ImageNet.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet8.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = [
    './base_resnet56_resnet8.py',
    '../../../configs/_base_/links/srrl-last.py',
]
_base_.distiller.links.loss_srrl.preds_S.connector.update(
    in_channels=64, out_channels=64
)
model = dict(distiller=_base_.distiller)
