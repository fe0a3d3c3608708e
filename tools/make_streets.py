"""Says where the command is that draws the toy streets; it was here."""

import sys

sys.exit(
    'error: the toy streets are drawn by projects/toy_streets/make.py of the checkout, '
    'which takes the same options.'
)
