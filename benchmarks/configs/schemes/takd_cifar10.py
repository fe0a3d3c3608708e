"""TAKD on CIFAR-10: ResNet-56 teaches ResNet-20, which teaches ResNet-8.

Paper: Improved Knowledge Distillation via Teacher Assistant, AAAI 2020,
https://arxiv.org/abs/1902.03393, with ResNet-110, 20 and 8; settings of KD as in ../cifar10.
Command: mmkd chain CONFIG
Expected: nothing is published for 5,000 pictures.
Status: unrun
"""

chain = [
    dict(name='assistant', config='../cifar10/kd_resnet56_resnet20.py'),
    dict(name='student', config='kd_resnet20_resnet8_cifar10.py', teacher='assistant'),
]
