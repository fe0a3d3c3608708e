"""ReviewKD and KD: ResNet-56 -> ResNet-20 on CIFAR-10.

Paper: Distilling Knowledge via Knowledge Review, CVPR 2021,
https://arxiv.org/abs/2104.09044; weight 0.6, as the authors for ResNet-20; no warm-up, with KD of
tau 4, weight 0.9, and 0.1 of the cross entropy.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet20.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = ['./reviewkd_resnet56_resnet20.py', './links/kd.py']
_base_.kd.loss.loss_weight = 0.9
model = dict(
    architecture=dict(head=dict(loss=dict(loss_weight=0.1))),
    distiller=dict(links=dict(loss_kd=_base_.pop('kd'))),
)
