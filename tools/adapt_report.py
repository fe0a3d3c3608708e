"""`mmkd report` as a script: tables and figures of adaptation runs.

Example: ``python tools/adapt_report.py work_dirs/my_run/results.json``
"""

from __future__ import annotations

import sys

from mmkd_ext.cli.report import main

if __name__ == '__main__':
    sys.exit(main())
