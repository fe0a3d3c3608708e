"""Building what a config names."""

from __future__ import annotations

import sys

import pytest
from torch import nn

from mmkd_ext.connectors.build import build_module
from mmkd_ext.errors import ConfigError
from mmkd_ext.registry import MODELS


@MODELS.register_module()
class ImportingConnector(nn.Module):
    """Imports what it needs when it is made."""

    def __init__(self):
        import nowhere_installed  # noqa: F401

        super().__init__()


def test_what_a_module_cannot_import_is_told_with_its_path():
    with pytest.raises(ConfigError, match=r"`links\.a`.*named 'nowhere_installed'"):
        build_module({'type': 'ImportingConnector'}, 'links.a')


def test_a_package_that_cannot_be_imported_is_no_unknown_type(tmp_path, monkeypatch):
    package = tmp_path / 'broken_package'
    package.mkdir()
    (package / '__init__.py').write_text('')
    (package / 'registry.py').write_text('import nowhere_installed')
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError) as error:
        build_module({'type': 'broken_package.Loss'}, 'links.a')
    sys.modules.pop('broken_package', None)
    assert "looked up: No module named 'nowhere_installed'" in str(error.value)


def test_a_package_that_is_not_there_is_an_unknown_type():
    with pytest.raises(ConfigError, match='nothing is registered as'):
        build_module({'type': 'no_such_package.Loss'}, 'links.a')
