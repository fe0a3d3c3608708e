"""The shipped configs of adaptation: they load, say what they are, and are built."""

from __future__ import annotations

import functools
import json
import re
import sys
from pathlib import Path

import pytest

pytest.importorskip('mmseg', reason='adapts segmentors of mmseg')

import yaml
from mmengine.config import Config

from mmkd_ext.adaptation import AdaptDistiller
from mmkd_ext.algorithms.sources import model_config

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / 'tests/adaptation'))
import adapt_toys as toys  # noqa: E402

pytestmark = pytest.mark.mmseg
FOLDER = ROOT / 'configs/adapt/mmseg'
#: Methods; `source` holds the trainings of source models.
METHODS = sorted(p for p in FOLDER.iterdir() if p.is_dir() and p.name != 'source')
CONFIGS = [path for folder in METHODS for path in sorted(folder.glob('*.py'))]
HEADER = re.compile(
    r'\A""".+?\n\n.*^Paper: .+^Command: python tools/test\.py CONFIG.*'
    r'^Expected: .+^Status: (unrun|smoke|measured)\n"""\n',
    re.DOTALL | re.MULTILINE,
)


def name_of(path: Path) -> str:
    return path.stem


@functools.cache
def built_by(distiller: str) -> AdaptDistiller:
    """The method on a tiny network; several configs have the same."""
    return toys.model(json.loads(distiller), width=4).distiller


@pytest.mark.parametrize('path', CONFIGS, ids=name_of)
def test_a_config_is_a_stream_and_its_method_is_built(path):
    config = Config.fromfile(path)
    assert config.test_cfg.type == 'mmkd_ext.ContinualAdaptLoop'
    assert len(config.test_cfg.domains) > 1
    assert config.test_cfg.rounds == (3 if path.stem.endswith('-3r') else 10)
    assert config.model.type == 'mmkd_ext.ContinualAdaptation'
    method = built_by(json.dumps(config.model.distiller.to_dict()))
    assert isinstance(method, AdaptDistiller)
    if method.trains:
        assert config.test_cfg.optim_wrapper.optimizer.lr > 0
        assert method.trained()


@pytest.mark.parametrize('path', CONFIGS, ids=name_of)
def test_its_header_says_paper_command_expectation_and_status(path):
    text = path.read_text()
    assert HEADER.match(text)
    assert path.stem.startswith(path.parent.name.replace('_', '-') + '_')
    if 'Status: unrun' in text:
        assert re.search(r'Not\s+measured\s+by\s+us|not measured yet', text)


@pytest.mark.parametrize(
    'base', sorted((ROOT / 'configs/_base_/adapt').glob('*.py')), ids=name_of
)
def test_the_model_of_a_base_has_the_classes_of_the_stream(base):
    model = Config.fromfile(base).model
    segmentor = model_config(model.architecture, 'model.architecture')
    assert segmentor.decode_head.num_classes == 19
    # the model of the toy streets is on the command line
    assert ('source_ckpt' in model) == ('acdc' in base.stem)


@pytest.mark.parametrize('folder', METHODS, ids=lambda path: path.name)
def test_a_metafile_lists_every_config(folder):
    configs = {path.stem for path in folder.glob('*.py')}
    metafile = yaml.safe_load((folder / 'metafile.yml').read_text())
    assert {model['Name'] for model in metafile['Models']} == configs
    assert (folder / 'README.md').is_file()
    for model in metafile['Models']:
        assert (ROOT / model['Config']).is_file()
        assert model['In Collection'] == metafile['Collections'][0]['Name']


@pytest.mark.parametrize('method', ['source_only', 'tent', 'cotta'])
def test_the_short_protocol_differs_in_its_rounds_alone(method):
    prefix = f'{method.replace("_", "-")}_segformer-b5_cityscapes-to-acdc'
    long, short = (
        Config.fromfile(FOLDER / method / f'{prefix}{end}.py') for end in ('', '-3r')
    )
    assert short.test_cfg.pop('rounds') == 3
    assert long.test_cfg.pop('rounds') == 10
    assert short.to_dict() == long.to_dict()
