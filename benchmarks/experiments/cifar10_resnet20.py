"""Which methods help ResNet-20 on a tenth of CIFAR-10? As cifar10_resnet8.py.

python benchmarks/repeat.py benchmarks/experiments/cifar10_resnet20.py
"""

_base_ = './cifar10_resnet8.py'
name = 'cifar10_resnet20'
title = 'ResNet-20 on 5,000 pictures of CIFAR-10'
runs = {
    key: dict(config=run['config'].replace('_resnet8.', '_resnet20.'))
    for key, run in _base_.runs.items()
}
