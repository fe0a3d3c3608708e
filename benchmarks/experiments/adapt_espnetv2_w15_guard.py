"""The guarded streams of adapt_espnetv2_w05_guard.py on ESPNetv2 of width 1.5.

python benchmarks/adapt_grid.py benchmarks/experiments/adapt_espnetv2_w15_guard.py
"""

_base_ = './adapt_espnetv2_w05_guard.py'
name = 'adapt_espnetv2_w15_guard'
title = 'ESPNetv2-1.5 from Cityscapes on CamVid, guarded: 2 rounds'
checkpoint = '{{$ESPNETV2_ROOT:data/espnetv2}}/espnetv2-w15.pth'
options = {
    'model.architecture.backbone.width': 1.5,
    'model.architecture.decode_head.in_channels': '[32,96,192,384]',
}
