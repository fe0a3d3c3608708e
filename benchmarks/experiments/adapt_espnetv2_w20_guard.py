"""The guarded streams of adapt_espnetv2_w05_guard.py on ESPNetv2 of width 2.0.

python benchmarks/adapt_grid.py benchmarks/experiments/adapt_espnetv2_w20_guard.py
"""

_base_ = './adapt_espnetv2_w05_guard.py'
name = 'adapt_espnetv2_w20_guard'
title = 'ESPNetv2-2.0 from Cityscapes on CamVid, guarded: 2 rounds'
checkpoint = '{{$ESPNETV2_ROOT:data/espnetv2}}/espnetv2-w20.pth'
options = {
    'model.architecture.backbone.width': 2.0,
    'model.architecture.decode_head.in_channels': '[32,128,256,512]',
}
