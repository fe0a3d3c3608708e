"""Builds models from a dict, a config file, ``pkg::path``, or a built model."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.model import BaseModel
from mmengine.registry import MODELS as ROOT_MODELS

from mmkd_ext.connectors.build import find_class, init_parameters
from mmkd_ext.errors import ConfigError
from mmkd_ext.package_configs import find_config
from mmkd_ext.registry import MODELS

__all__ = ['build_model', 'hand_preprocessor', 'model_config']


def build_model(source: Any, path: str) -> BaseModel:
    """Builds a model from its config or the path of one.

    Args:
        source: A built model; a dict with `type`; a dict with `cfg_path` as in mmrazor
            (`pretrained=True` reads the model zoo's weights; more keys override the
            model's config); or the path of a config file, local or as
            ``'mmseg::pspnet/...py'``, whose `model` is taken.
        path: Config path of ``source``, for messages.

    Raises:
        ConfigError: It is none of these, or cannot be built.
    """
    if isinstance(source, BaseModel):
        return source
    is_dict = isinstance(source, Mapping)
    if is_dict and 'cfg_path' in source and source.get('pretrained') is True:
        from mmengine.hub import get_model

        return get_model(**source)
    config = model_config(source, path)
    try:
        model = (ROOT_MODELS if '_scope_' in config else MODELS).build(config)
    except ConfigError:
        raise
    except (KeyError, TypeError, AttributeError, ImportError, ValueError) as error:
        raise ConfigError.at(path, f'cannot be built: {error}') from error
    if not isinstance(model, BaseModel):
        what = 'no mmengine `BaseModel` with forward(inputs, data_samples, mode).'
        raise ConfigError.at(path, f'builds a {type(model).__name__}, which is {what}')
    return model


def model_config(source: Any, path: str) -> ConfigDict:
    """Returns the config of a model that is not built yet.

    The dict of a config file carries the file's default scope, so that a teacher of
    mmdetection can stand beside a student of another project, and its preprocessor
    where that stands beside the model, as in mmpretrain.

    Raises:
        ConfigError: ``source`` names no model.
    """
    if isinstance(source, str):
        return _from_file(source, path)
    if isinstance(source, Mapping) and 'type' in source:
        return ConfigDict(copy.deepcopy(dict(source)))
    if isinstance(source, Mapping) and 'cfg_path' in source:
        config = Config(_from_file(source['cfg_path'], f'{path}.cfg_path'))
        # a copy, since merging takes `_delete_` out of what it is given
        changes = copy.deepcopy(dict(source))
        del changes['cfg_path']
        if isinstance(changes.get('pretrained'), bool):
            # mmrazor's switch; anything else is mmseg's key of the same name
            del changes['pretrained']
        config.merge_from_dict(changes)
        return config._cfg_dict
    raise ConfigError.at(
        path,
        f'must be a model dict with `type`, a dict with `cfg_path`, the path '
        f"of a config file ('mmseg::...' too), or a built model, but is {source!r}.",
    )


def hand_preprocessor(source: Any, preprocessor: Any, path: str) -> tuple[Any, Any]:
    """Gives a model the config of its preprocessor, as mmengine does with plain models.

    Such a config may name no type, which mmpretrain's models know; they also add to it
    what mixes pictures.

    Args:
        source: The model, as `build_model` takes it.
        preprocessor: Config of its preprocessor.
        path: Config path of ``source``, for messages.

    Returns:
        Model and preprocessor; the latter is None once the model has it.

    Raises:
        ConfigError: It names no type, and the model is built already.
    """
    if not isinstance(preprocessor, Mapping):
        return source, preprocessor
    built = isinstance(source, BaseModel) or (
        isinstance(source, Mapping) and source.get('pretrained') is True
    )
    if built and 'type' in preprocessor:
        return source, preprocessor
    if built:
        raise ConfigError.at(
            'data_preprocessor', f'has no `type`, and `{path}` is built already.'
        )
    config = model_config(source, path)
    if 'type' in preprocessor and not _takes_preprocessor(config):
        return source, preprocessor
    config['data_preprocessor'] = copy.deepcopy(dict(preprocessor))
    return config, None


def _takes_preprocessor(config: ConfigDict) -> bool:
    """Whether a model's class has the argument, as far as is known."""
    kind, scope = config['type'], config.get('_scope_')
    if scope and isinstance(kind, str) and '.' not in kind:
        kind = f'{scope}.{kind}'
    cls = find_class(kind)
    accepted = None if cls is None else init_parameters(cls)
    return accepted is None or 'data_preprocessor' in accepted


def _from_file(name: str, path: str) -> ConfigDict:
    """Reads the model of a config file; of a distillation, its student."""
    try:
        config = Config.fromfile(find_config(name))
    except (ConfigError, ImportError, OSError) as error:
        raise ConfigError.at(path, f'cannot read {name!r}: {error}') from error
    if 'model' not in config:
        raise ConfigError.at(path, f'{name!r} has no `model`.')
    model = config.model
    if 'architecture' in model:
        return model_config(model['architecture'], f'{path}.architecture')
    if config.get('data_preprocessor') is not None:
        model.setdefault('data_preprocessor', config.data_preprocessor)
    scope = config.get('default_scope')
    kind = model.get('type', '')
    if scope and not (isinstance(kind, str) and '.' in kind):
        model.setdefault('_scope_', scope)
    return model
