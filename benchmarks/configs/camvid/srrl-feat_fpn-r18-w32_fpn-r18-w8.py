"""SRRL on the last features: FPN on ResNet-18 on CamVid.

Paper: Knowledge Distillation via Softmax Regression Representation Learning, ICLR 2021,
https://github.com/jingyang2017/KD_SRRL; weights 1 of its classifiers; it has no
segmentation, and the teacher's classifier judges each pixel.
Command: python tools/train.py benchmarks/configs/camvid/srrl-feat_fpn-r18-w32_fpn-r18-w8.py
Expected: nothing is published.
Status: unrun
"""

_base_ = ['./base_fpn-r18-w32_fpn-r18-w8.py', './links/srrl-feat.py']
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=_base_.links))
