"""SRRL on the last map: ResNet-34 -> ResNet-18, ImageNet.

Paper: Knowledge Distillation via Softmax Regression Representation Learning, ICLR 2021,
https://github.com/jingyang2017/KD_SRRL; both weights 1 as the authors, who take twice
the batch and twice the learning rate.
Command: bash tools/dist_train.sh CONFIG 8
Expected: 71.73 % top-1 (the paper) from 69.75.
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/imagenet_100e.py',
    '../../../_base_/pairs/mmpretrain/resnet34_resnet18.py',
    '../../../_base_/links/srrl-last.py',
]
model = dict(distiller=_base_.distiller)
