"""Types and arguments of everything a config names."""

from __future__ import annotations

from mmengine import registry as roots
from mmengine.hooks import CheckpointHook

from mmkd_ext.config.parts import explain_model, find_type, scoped, unknown_type


def test_says_where_it_has_looked():
    with scoped('mmkd_ext'):
        found, hint = unknown_type('Nothing', roots.MODELS)
    assert found == "nothing is registered as 'Nothing' (default scope 'mmkd_ext')."
    assert 'custom_imports' in hint
    with scoped(None):
        assert "'mmengine'" in unknown_type('Nothing', roots.MODELS)[0]


def test_a_package_that_cannot_be_imported_is_the_reason_it_names():
    registry = roots.Registry('things', scope='things', locations=['no_such_package'])
    found, hint = unknown_type('Thing', registry)
    assert found == "'Thing' cannot be looked up: No module named 'no_such_package'."
    assert 'fix that module' in hint
    assert find_type('Thing', registry) is None


def test_finds_classes_names_and_nothing_else():
    assert find_type(CheckpointHook, roots.HOOKS) is CheckpointHook
    assert find_type('CheckpointHook', roots.MODELS, roots.HOOKS) is CheckpointHook
    assert find_type('no.such.Thing', roots.HOOKS) is None
    assert find_type(3, roots.HOOKS) is None


NMS = {'nms': {'type': 'nms', 'iou_threshold': 0.5}}


# ---- why a model could not be built -----------------------------------------------


def explained(config, error=''):
    with scoped('mmkd_ext'):
        return explain_model(config, 'model', error)


def test_names_every_wrong_type_and_argument_of_a_model():
    parts = [{'type': 'mmkd_ext.ToyModle'}, 3]
    found = explained({'type': 'mmkd_ext.ToyModel', 'chanels': 3, 'parts': parts})
    paths = [problem.path for problem in found]
    assert paths == ['model.chanels', 'model.parts', 'model.parts[0].type']
    assert '`channels`' in found[0].hint
    assert '`mmkd_ext.ToyModel`' in found[2].hint


def test_arguments_that_a_builder_takes_away_are_not_judged():
    norm = {'type': 'BN', 'requires_grad': True}
    assert explained({'norm_cfg': norm, 'plugins': [{'cfg': norm}]}) == []
    error = 'Cannot find BNN in registry under scope mmengine'
    (problem,) = explained({'norm_cfg': {'type': 'BNN'}, 'test_cfg': NMS}, error)
    assert problem.path == 'model.norm_cfg.type'


def test_missing_arguments_are_named_only_where_python_missed_them():
    config = {'type': 'mmkd_ext.ConvAdapter', 'in_channels': 3}
    assert explained(config) == []
    error = 'ConvAdapter.__init__() missing 1 required positional argument'
    assert "needs ['out_channels']" in explained(config, error)[0].found


def test_functions_are_types_too():
    assert explained({'type': dict, 'anything': 1}) == []
    assert explained({'type': lambda: None, 'anything': 1}) == []
