"""FitNets on the second stage: WRN-40-2 -> WRN-16-2, CIFAR-100.

Paper: FitNets: Hints for Thin Deep Nets, ICLR 2015,
https://arxiv.org/abs/1412.6550; weight 100 on the second stage, regressor with batch
normalisation and ReLU, without KD, as RepDistiller.
Command: python tools/train.py CONFIG
Expected: 73.58 % top-1 from 73.26; KD 74.92 (RepDistiller).
Status: unrun
"""

_base_ = [
    '../../../_base_/tasks/cifar100_240e.py',
    '../../../_base_/pairs/mmpretrain/wrn-40-2_wrn-16-2.py',
    '../../../_base_/links/fitnets-stage.py',
]
_base_.distiller.links.loss_fitnets.preds_S.connector.update(
    in_channels=64, out_channels=64
)
model = dict(distiller=_base_.distiller)
