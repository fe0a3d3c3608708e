"""The temporal teacher: one branch, wider and deeper, on whole frames.

Paper: Spatiotemporal Knowledge Distillation for Efficient Estimation of Aerial Video
Saliency, TIP 2020, https://arxiv.org/abs/1904.04992; inspired by its abstract.
Command: mmkd train CONFIG
Expected: see benchmarks/results/video_saliency.json.
Status: measured
"""

_base_ = './teacher-spatial_attention.py'
model = dict(branches=['temporal'])
