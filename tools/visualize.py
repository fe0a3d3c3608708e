"""`mmkd visualize` as a script: draws the maps that links compare.

Example: ``python tools/visualize.py CONFIG --checkpoint FILE --out DIR``
"""

from __future__ import annotations

import sys

from mmkd_ext.cli.visualize import main

if __name__ == '__main__':
    sys.exit(main())
