"""EMA self-training: ESPNetv2 of width 2.0 from Cityscapes, CamVid in changing light.

Paper: Mean teachers are better role models, NeurIPS 2017,
https://arxiv.org/abs/1703.01780
Settings: decay 0.99, for a stream of hundreds of pictures; the teacher sees the picture
and its mirror image.
Command: CAMVID_ROOT=<folder> mmkd test CONFIG data/espnetv2/espnetv2-w20.pth
Expected: 46.2 mIoU over 2 rounds of six pictures a domain (seed 0, 2 CPU cores); the
source 33.3.
Status: measured
"""

_base_ = ['./_base_/adapt-camvid.py']
model = dict(
    distiller=dict(
        type='mmkd_ext.EMATeacherDistiller',
        decay=0.99,
        views=[1.0, 'flip'],
        mixing='auto',
    )
)
