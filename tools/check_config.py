"""`mmkd check` as a script: reports every problem of a config.

Example: ``python tools/check_config.py CONFIG``
"""

from __future__ import annotations

import sys

from mmkd_ext.cli.check import main

if __name__ == '__main__':
    sys.exit(main())
