"""What is not a test here."""

from __future__ import annotations

collect_ignore = ['distill_toys.py']  # imported by name
