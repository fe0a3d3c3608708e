"""Whether two sets of configs mean the same is told by what the Runner is given."""

from __future__ import annotations

import pytest
from dump_configs import compare

KEYS = {'model', 'train_cfg'}
OLD = {'configs/a.py': {'model': {'links': {'x': 1, 'y': 2}}, 'helper': 1}}


def of_model(model) -> dict:
    return {'configs/a.py': {'model': model}}


def test_a_variable_of_the_config_itself_is_no_difference():
    assert compare(OLD, of_model({'links': {'x': 1, 'y': 2}}), KEYS) == ([], {})


@pytest.mark.parametrize(('model', 'told'), [
    ({'links': {'x': 1, 'y': 3}}, 'configs/a.py: model.links.y: 2 -> 3'),
    ({'links': {'x': 1}}, "configs/a.py: model.links.y: 2 -> '<none>'"),
    ({'links': {'y': 2, 'x': 1}},
     "configs/a.py: model.links: in the order ['x', 'y'] -> ['y', 'x']"),
])  # fmt: skip
def test_another_value_or_order_of_links_is_told_with_its_path(model, told):
    assert compare(OLD, of_model(model), KEYS) == ([told], {})


def test_a_file_that_was_renamed_is_found_by_what_it_holds():
    new = {'benchmarks/configs/a.py': {'model': {'links': {'x': 1, 'y': 2}}}}
    renamed = {'configs/a.py': 'benchmarks/configs/a.py'}
    assert compare(OLD, new, KEYS) == ([], renamed)


def test_a_file_that_nobody_holds_any_more_is_told():
    assert compare(OLD, {}, KEYS) == (['configs/a.py: is gone'], {})
