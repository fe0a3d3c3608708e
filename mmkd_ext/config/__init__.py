"""Checking a config before anything is trained; the names of config files.

:func:`mmkd_ext.config.check.check_config` reports everything,
:func:`mmkd_ext.config.check.check_before_training` raises what is wrong, and
:func:`mmkd_ext.config.context.checks` registers the check of another kind of model.
"""

from __future__ import annotations
