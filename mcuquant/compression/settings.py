"""Converts TOML tables to dataclasses. Every error names the file, the key, and the expected type."""

from __future__ import annotations

import dataclasses
import enum
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ..errors import ConfigError, McuquantError, suggestion

T = TypeVar("T")

_TOML_NAMES = {str: "string", bool: "boolean", int: "integer", float: "number", list: "list", dict: "table"}


def read_table(path: Path) -> dict[str, Any]:
    """The content of a TOML file. Raises ConfigError if it cannot be read or is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: the file cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a TOML file: {error}") from error


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the values of one file."""

    path: Path

    def record(self, cls: type[T], table: Mapping[str, Any], prefix: str = "") -> T:
        """A `cls` from a table. Fields may be strings, numbers, booleans, choices, lists and tables."""
        hints, known = typing.get_type_hints(cls), {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
        for key in table:
            if key not in known:
                raise ConfigError(f"{self.path}: unknown key '{prefix}{key}'{suggestion(key, known, prefix)}")
        for key, field in known.items():
            has_default = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
            if key not in table and not has_default:
                raise ConfigError(f"{self.path}: key '{prefix}{key}' is missing")
        values = {key: self.value(hints[key], table[key], prefix + key) for key in table}
        try:
            return cls(**values)
        except McuquantError as error:
            raise ConfigError(f"{self.path}: {f'[{prefix[:-1]}]: ' if prefix else ''}{error}") from error

    def value(self, hint: Any, raw_value: Any, key: str) -> Any:
        origin, parts = typing.get_origin(hint), typing.get_args(hint)
        if origin in (types.UnionType, typing.Union):
            return self._one_of([part for part in parts if part is not type(None)], raw_value, key)
        if origin is tuple:
            return self._sequence(parts, self._typed(list, raw_value, key), key)
        if origin is not None:  # a Mapping
            table = self._typed(dict, raw_value, key)
            return {name: self.value(parts[1], table[name], f"{key}.{name}") for name in table}
        if dataclasses.is_dataclass(hint):
            return self.record(hint, self._typed(dict, raw_value, key), f"{key}.")  # type: ignore[arg-type]
        if issubclass(hint, enum.StrEnum):
            return self._choice(hint, self._typed(str, raw_value, key), key)
        return float(self._typed(float, raw_value, key)) if hint is float else self._typed(hint, raw_value, key)

    def _one_of(self, hints: list[Any], value: Any, key: str) -> Any:
        exact = [hint for hint in hints if hint is type(value)]  # bool is a subclass of int
        fitting = [hint for hint in hints if isinstance(value, typing.get_origin(hint) or hint)]
        return self.value((exact or fitting or hints[:1])[0], value, key)

    def _sequence(self, parts: tuple[Any, ...], values: list[Any], key: str) -> tuple[Any, ...]:
        kinds = [parts[0]] * len(values) if parts[-1] is Ellipsis else list(parts)
        if len(kinds) != len(values):
            raise ConfigError(f"{self.path}: '{key}' must be a list of {len(kinds)}, found {values!r}")
        return tuple(self.value(k, item, f"{key}[{i}]") for i, (k, item) in enumerate(zip(kinds, values, strict=True)))

    def _choice(self, kind: type[enum.StrEnum], text: str, key: str) -> enum.StrEnum:
        choices = [str(choice) for choice in kind]
        if text not in choices:
            raise ConfigError(f"{self.path}: '{key}' must be one of {', '.join(choices)}, found {text!r}")
        return kind(text)

    def _typed(self, kind: type, value: Any, key: str) -> Any:
        accepted = (int, float) if kind is float else kind
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
            name = _TOML_NAMES[kind]
            article = "an" if name[0] in "aeiou" else "a"
            raise ConfigError(f"{self.path}: '{key}' must be {article} {name}, found {_describe(value)}")
        return value


def _describe(value: Any) -> str:
    return f"the {_TOML_NAMES.get(type(value), 'date or time')} {value!r}"
