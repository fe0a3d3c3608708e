"""Distillers: from taps through connectors to losses."""

from __future__ import annotations

from mmkd_ext.distillers.link_distiller import LinkDistiller

__all__ = ['LinkDistiller']
