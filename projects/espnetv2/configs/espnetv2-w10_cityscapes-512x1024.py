"""ESPNetv2 of width 1.0 on Cityscapes, to test the converted weights.

Paper: ESPNetv2: A Light-weight, Power Efficient, and General Purpose Convolutional
Neural Network, CVPR 2019, https://arxiv.org/abs/1811.11431
Command: mmkd test CONFIG data/espnetv2/espnetv2-w10.pth
Expected: 60.1 mIoU on val, as the authors print it.
Status: unrun
"""

_base_ = ['./_base_/espnetv2.py', './_base_/cityscapes-512x1024.py']
model = _base_.espnetv2.w10
