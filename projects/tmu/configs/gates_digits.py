"""A bank whose copies are no teacher's, which is what the authors' training script does.

Paper: Unsupervised Transfer Learning for Spatiotemporal Predictive Networks, ICML 2020,
https://arxiv.org/abs/2009.11763
Command: mmkd train CONFIG
Expected: see the README; there is no results file yet.
Status: smoke
"""

_base_ = './convlstm_digits.py'
model = dict(bank=2)
