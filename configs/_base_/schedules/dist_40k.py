"""Schedule: SGD at 0.02 for 40k iterations, for 16 images, as DIST trains a CNN.

That of CIRKD but for a weight decay of 5e-4 and a learning rate that ends at 1e-4.
"""

_base_ = './cirkd_40k.py'
optim_wrapper = dict(optimizer=dict(weight_decay=5e-4))
param_scheduler = [
    dict(type='PolyLR', eta_min=1e-4, power=0.9, end=40000, by_epoch=False)
]
# tasks say their schedule themselves; kept for configs that name this file
_deprecation_ = dict(expected='a file of configs/_base_/tasks')
