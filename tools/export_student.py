"""`mmkd export` as a script: takes the student out of a checkpoint.

Example: ``python tools/export_student.py CHECKPOINT``
"""

from __future__ import annotations

import sys

from mmkd_ext.cli.export import main

if __name__ == '__main__':
    sys.exit(main())
