"""Metrics, tables, figures and reports.

Only :mod:`mmkd_ext.evaluation.segmentation` needs mmseg; the registry names it.
"""
