"""`mmkd train` as a script: trains the model of a config.

Example: ``python tools/train.py CONFIG --resume``
"""

from __future__ import annotations

import sys

from mmkd_ext.cli.train import main

if __name__ == '__main__':
    sys.exit(main())
