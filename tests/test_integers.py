"""An integer is an integer in every class that a config may name."""

from __future__ import annotations

import inspect

import pytest

from mmkd_ext import registry
from mmkd_ext.errors import ConfigError

#: What classes need besides, by argument.
NEEDED = {
    'channels': 4,
    'classes': 3,
    'connector': dict(type='mmkd_ext.ConvAdapter', in_channels=4, out_channels=4),
    'in_channels': 4,
    'levels': 2,
    'map_size': (4, 4),
    'num_classes': 3,
    'out_channels': 4,
    'samples': 7,
    'student_channels': 3,
    'teacher_channels': 4,
}


def arguments(cls):
    """Arguments of a class and of those that it hands ``**kwargs`` to, by name."""
    found = {}
    for base in cls.__mro__:
        init = base.__dict__.get('__init__')
        if init is None:
            continue
        own = list(inspect.signature(init).parameters.values())[1:]
        named = [p for p in own if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
        found = {**{p.name: p for p in named}, **found}
        if all(p.kind is not p.VAR_KEYWORD for p in own):
            break
    return found


def integers():
    """Every argument that is annotated as an integer, of what is registered here."""
    for root in (registry.MODELS, registry.HOOKS):
        root.import_from_location()
        for name, cls in sorted(root.module_dict.items()):
            where = getattr(cls, '__module__', '')
            if not inspect.isclass(cls) or not where.startswith('mmkd_ext.'):
                continue
            if where.startswith('mmkd_ext.testing'):
                continue
            for argument in arguments(cls).values():
                if argument.annotation in ('int', 'int | None'):
                    yield pytest.param(cls, argument.name, id=f'{name}-{argument.name}')


@pytest.mark.parametrize(('cls', 'name'), integers())
@pytest.mark.parametrize('value', [2.5, 8.0, True, '3'])
def test_an_integer_argument_takes_no_other_number(cls, name, value):
    given = {key: NEEDED[key] for key, argument in arguments(cls).items()
             if argument.default is argument.empty and key in NEEDED}
    with pytest.raises(ConfigError, match=rf'`.*{name}` must be an? .*integer'):
        cls(**{**given, name: value})
