"""`mmkd export` as a script: extracts the student from a checkpoint.

Example: ``python tools/export_student.py CHECKPOINT``
"""

from __future__ import annotations

import sys

from mmkd_ext.cli.export import main

if __name__ == '__main__':
    sys.exit(main())
