"""FitNets and KD: ResNet-56 -> ResNet-8 on CIFAR-10.

Paper: FitNets: Hints for Thin Deep Nets, ICLR 2015,
https://arxiv.org/abs/1412.6550; weight 100, as RepDistiller, with KD of
tau 4, weight 0.9, and 0.1 of the cross entropy.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet8.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = ['./fitnets_resnet56_resnet8.py', './links/kd.py']
_base_.kd.loss.loss_weight = 0.9
model = dict(
    architecture=dict(head=dict(loss=dict(loss_weight=0.1))),
    distiller=dict(links=dict(loss_kd=_base_.pop('kd'))),
)
