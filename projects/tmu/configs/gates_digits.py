"""A bank whose copies are no teacher's, which is what the authors' training script does.

Paper: Unsupervised Transfer Learning for Spatiotemporal Predictive Networks, ICML 2020,
https://arxiv.org/abs/2009.11763
Command: mmkd train CONFIG
Expected: MSE 10.08 +- 0.17 of 16 videos; alone 9.25 +- 0.25
(seeds 0 to 2, CPU); benchmarks/results/tmu.json.
Status: measured
"""

_base_ = './convlstm_digits.py'
model = dict(bank=2)
