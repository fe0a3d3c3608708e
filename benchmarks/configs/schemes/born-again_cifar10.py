"""Born-again networks on CIFAR-10: ResNet-20 teaches ResNet-20, three times.

Paper: Born Again Neural Networks, ICML 2018, https://arxiv.org/abs/1805.04770; it has
DenseNet and WRN. Settings of KD as in ../cifar10.
Command: mmkd chain CONFIG
Expected: nothing is published for 5,000 pictures.
Status: unrun
"""

own = 'kd_resnet20_resnet20_cifar10.py'
chain = [
    dict(name='generation0', config='../cifar10/student_resnet20.py'),
    dict(name='generation1', config=own, teacher='generation0'),
    dict(name='generation2', config=own, teacher='generation1'),
    dict(name='generation3', config=own, teacher='generation2'),
]
