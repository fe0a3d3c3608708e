"""What is not a test here."""

from __future__ import annotations

# imported by name, also by subprocesses; a second import would register twice
collect_ignore = ['classifier_toys.py', 'engine_toys.py']
