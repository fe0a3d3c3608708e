"""FSP for 5 epochs, then the task for 40: ResNet-56 -> ResNet-20 on CIFAR-10.

Paper: A Gift from Knowledge Distillation, CVPR 2017,
https://openaccess.thecvf.com/content_cvpr_2017/html/Yim_A_Gift_From_CVPR_2017_paper.html;
weight 50, as RepDistiller, whose first stage has an eighth of the epochs too.
Command: python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet20.py
Expected: see benchmarks/results once it has run.
Status: unrun
"""

_base_ = './fsp_resnet56_resnet8.py'
model = dict(architecture=dict(backbone=dict(depth=20)))
