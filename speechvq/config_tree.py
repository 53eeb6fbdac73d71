"""Frozen dataclasses to and from nested mappings, every key and type checked."""

from __future__ import annotations

import types
import typing
from dataclasses import asdict, is_dataclass

import yaml

from speechvq.errors import ConfigError


def to_dict(config: object) -> dict:
    """A configuration as plain dictionaries and lists."""
    return _plain(asdict(config))


def override(config, assignments: list[str]):
    """Change single values.

    Args:
        config: where to start.
        assignments: `section.key=value` each, the value in YAML.

    Raises:
        ConfigError: an assignment without `=`, an unknown key, a wrong type.
    """
    tree = to_dict(config)
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"'{assignment}' is no assignment: write section.key=value")
        branch: dict = {}
        inner = branch
        *sections, key = name.strip().split(".")
        for section in sections:
            inner = inner.setdefault(section, {})
        try:
            inner[key] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise ConfigError(f"'{assignment}': the value is not YAML") from None
        tree = merged(tree, branch)
    return from_dict(type(config), tree, "the command line")


def from_dict(kind: type, tree: object, where: str, prefix: str = ""):
    """Build a dataclass from a mapping, checking every key and type.

    Args:
        kind: the dataclass.
        tree: the mapping.
        where: what to call its origin in an error.
        prefix: of the names of its keys in an error.

    Raises:
        ConfigError: an unknown key or a wrong type, named.
    """
    if not isinstance(tree, dict):
        raise ConfigError(f"{where}: {prefix.rstrip('.') or 'a configuration'} must hold `key: value` lines, not {tree!r}")
    hints = typing.get_type_hints(kind)
    unknown = [key for key in tree if key not in hints]
    if unknown:
        raise ConfigError(f"{where}: unknown key '{prefix}{unknown[0]}'; known: {', '.join(hints)}")
    return kind(**{key: _convert(hints[key], value, where, f"{prefix}{key}") for key, value in tree.items()})


def _convert(hint: object, value: object, where: str, name: str):
    if is_dataclass(hint):
        return from_dict(hint, value, where, f"{name}.")
    if isinstance(hint, types.GenericAlias):
        inner = typing.get_args(hint)[0]
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{where}: {name} must be a list of {inner.__name__}, not {value!r}")
        return tuple(_convert(inner, item, where, name) for item in value)
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if hint is float and isinstance(value, str):
        # YAML 1.1 reads 1e-3, without a dot, as a string.
        try:
            return float(value)
        except ValueError:
            pass
    if type(value) is not hint:
        raise ConfigError(f"{where}: {name} must be of type {hint.__name__}, not {value!r}")
    return value


def merged(base: dict, changes: dict) -> dict:
    """One mapping over another, branch by branch."""
    both = dict(base)
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            both[key] = merged(base[key], value)
        else:
            both[key] = value
    return both


def _plain(value):
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
