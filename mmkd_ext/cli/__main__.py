"""``python -m mmkd_ext.cli`` is ``mmkd``."""

from __future__ import annotations

import sys

from mmkd_ext.cli import main

if __name__ == '__main__':
    sys.exit(main())
