"""FitNets on the second stage: ResNet-32x4 -> ResNet-8x4, CIFAR-100.

Paper: FitNets: Hints for Thin Deep Nets, ICLR 2015,
https://arxiv.org/abs/1412.6550; weight 100 on the second stage, regressor with batch
normalisation and ReLU, without KD, as RepDistiller.
Command: python tools/train.py CONFIG
Expected: 73.50 % top-1 from 72.50; KD 73.33 (RepDistiller).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cifar100_240e.py',
    '../../../_base_/pairs/mmpretrain/resnet32x4_resnet8x4.py',
    '../../../_base_/links/fitnets-stage.py',
]
_base_.distiller.links.loss_fitnets.preds_S.connector.update(
    in_channels=128, out_channels=128
)
model = dict(distiller=_base_.distiller)
