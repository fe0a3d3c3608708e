"""`mmkd test` as a script: tests a model, or adapts it to a stream.

Example: ``python tools/test.py CONFIG CHECKPOINT``
"""

from __future__ import annotations

import sys

from mmkd_ext.cli.test import main

if __name__ == '__main__':
    sys.exit(main())
