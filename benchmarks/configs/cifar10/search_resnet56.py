"""DisWOT: which small ResNet should ResNet-56 teach on CIFAR-10?

Paper: DisWOT: Student Architecture Search for Distillation WithOut Training, CVPR 2023,
https://arxiv.org/abs/2303.15678; spaces there are of cells, this one is ours.
Command: mmkd search CONFIG
Expected: nothing; benchmarks/search_cifar10.py measures what the score is worth.
Status: unrun
"""

_base_ = './kd_resnet56_resnet8.py'
search = dict(
    space={
        'backbone.depth': [8, 14, 20],
        'backbone.widths, head.in_channels': [
            [(6, 6, 12, 24), 24],
            [(8, 8, 16, 32), 32],
            [(8, 8, 16, 64), 64],
            [(4, 4, 16, 64), 64],
            [(12, 12, 24, 48), 48],
            [(16, 16, 16, 16), 16],
            [(16, 16, 24, 32), 32],
            [(16, 16, 32, 64), 64],
        ],
    },
)
