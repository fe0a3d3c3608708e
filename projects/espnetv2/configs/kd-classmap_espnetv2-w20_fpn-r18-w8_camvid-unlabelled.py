"""KD of pixels through a map of classes, no labels: Cityscapes' teacher, CamVid's student.

Paper: Distilling the Knowledge in a Neural Network, 2015,
https://arxiv.org/abs/1503.02531; tau 1 and weight 1 as CIRKD's pixel term.
Command: CAMVID_ROOT=... ESPNETV2_ROOT=... mmkd train CONFIG
Expected: not run yet.
Status: smoke
"""

_base_ = ['./_base_/classmap-camvid.py']
model = dict(calculate_student_loss=False)
