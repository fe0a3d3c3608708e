"""Student alone: a narrow FPN on EfficientNet-Lite0, CamVid at 240 x 180.

Paper: none; the student of the pair of this folder.
Command: python benchmarks/repeat.py benchmarks/experiments/camvid_lite.py
Expected: no figure yet.
Status: smoke
"""

_base_ = './_base_/pair-camvid.py'
model = dict(_delete_=True, **_base_.student)
