"""The methods of adapt_espnetv2.py on ESPNetv2 of width 0.5."""

_base_ = './adapt_espnetv2.py'
name = 'adapt_espnetv2_w05'
title = 'ESPNetv2-0.5 from Cityscapes on CamVid: day, dusk, drawn weather, 2 rounds'
checkpoint = '{{$ESPNETV2_ROOT:data/espnetv2}}/espnetv2-w05.pth'
options = {
    'model.architecture.backbone.width': 0.5,
    'model.architecture.decode_head.in_channels': '[16,32,64,128]',
}
