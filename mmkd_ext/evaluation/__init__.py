"""Figures and reports: metrics, tables, pictures, repeated experiments.

Only :mod:`mmkd_ext.evaluation.segmentation` needs mmseg; the registry names it.
"""
