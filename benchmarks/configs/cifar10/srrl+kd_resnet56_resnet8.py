"""SRRL and KD: ResNet-56 -> ResNet-8 on CIFAR-10.

Paper: Knowledge Distillation via Softmax Regression Representation Learning, ICLR 2021,
https://github.com/jingyang2017/KD_SRRL; all weights 1, tau 4, as in SimKD's comparison
on CIFAR-100.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet8.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = './srrl_resnet56_resnet8.py'
kd = dict(
    loss=dict(type='mmkd_ext.KDLoss', tau=4.0, loss_weight=1.0),
    preds_S=dict(of='student', at='head'),
    preds_T=dict(of='teacher', at='head'),
)
model = dict(distiller=dict(links=dict(loss_kd=kd)))
del kd
