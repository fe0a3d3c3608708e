"""`mmkd doctor` from a checkout that is not installed: checks the stack.

    python tools/doctor.py

The same as ``python -m mmkd_ext.doctor``; see there.
"""

from __future__ import annotations

import sys
from pathlib import Path

try:
    from mmkd_ext.doctor import main
except ModuleNotFoundError as missing:
    if missing.name != 'mmkd_ext':
        raise
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from mmkd_ext.doctor import main

if __name__ == '__main__':
    sys.exit(main())
