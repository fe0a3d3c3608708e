"""`mmkd train` as a script: trains what a config says.

Example: ``python tools/train.py CONFIG --resume``
"""

from __future__ import annotations

import sys

from mmkd_ext.cli.train import main

if __name__ == '__main__':
    sys.exit(main())
