"""The methods of adapt_espnetv2.py on ESPNetv2 of width 1.0."""

_base_ = './adapt_espnetv2.py'
name = 'adapt_espnetv2_w10'
title = 'ESPNetv2-1.0 from Cityscapes on CamVid: day, dusk, drawn weather, 2 rounds'
checkpoint = '{{$ESPNETV2_ROOT:data/espnetv2}}/espnetv2-w10.pth'
options = {
    'model.architecture.backbone.width': 1.0,
    'model.architecture.decode_head.in_channels': '[32,64,128,256]',
}
