"""CWD on the logits with tau 1: FPN on ResNet-18 on CamVid.

Paper: Channel-wise Knowledge Distillation for Dense Prediction, ICCV 2021,
https://arxiv.org/abs/2011.13256; weight 3 as published, but tau 1 as in configs/demo.
Command: python tools/repeat.py benchmarks/experiments/camvid_fpn.py
Expected: not measured yet.
Status: unrun
"""

_base_ = './cwd-logits_fpn-r18-w32_fpn-r18-w8.py'
model = dict(distiller=dict(links=dict(loss_cwd=dict(loss=dict(tau=1.0)))))
