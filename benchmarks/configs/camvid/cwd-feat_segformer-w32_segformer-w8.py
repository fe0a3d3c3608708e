"""CWD on the last features: SegFormer on CamVid.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; weight 50 for features as in CIRKD's
re-implementation, but measured with tau 1 instead of its 4.
Command: python benchmarks/repeat.py benchmarks/experiments/camvid_segformer.py
Expected: 17.6 +- 0.2 mIoU on val (seeds 0 to 2, 2 CPU cores); the student alone
18.4 +- 0.2.
Status: measured
"""

_base_ = ['./base_segformer-w32_segformer-w8.py', './links/cwd-feat.py']
model = dict(distiller=dict(type='mmkd_ext.LinkDistiller', links=_base_.links))
