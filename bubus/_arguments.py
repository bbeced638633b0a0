"""The fields of an event class as its constructor sees them: where a value is found, and how it is checked."""

from __future__ import annotations

import keyword
from typing import TYPE_CHECKING, Final, cast

import attrs

from bubus._compile import Validator, compile_type
from bubus._config import by_name, settings_of
from bubus._framework import CHECKS, EXACT
from bubus._functions import applied, reread
from bubus._marks import FieldSerializer, FieldValidator
from bubus._narrow import Factory, attribute, is_factory, method
from bubus.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bubus._aliases import Path
    from bubus._field_info import FieldInfo
    from bubus._marks import Mark
    from bubus._mode import Mode
    from bubus._types import Check

_NOTHING: Final[frozenset[type]] = frozenset()


@attrs.frozen(slots=True, eq=False)
class Argument:
    """A field as the constructor sees it."""

    attribute: attrs.Attribute[object]
    check: Check
    exact: frozenset[type] | None
    """Values of exactly these types need no check; None: no value does."""

    info: FieldInfo
    lookups: tuple[Path, ...]
    """Where a value is looked for; the first place that has one counts."""

    asks: bool = False
    """Whether a function in the check wants to know more than the value."""

    checks_default: bool = False
    by_alias: bool = True
    """Whether faults are told at the alias."""

    @property
    def name(self) -> str:
        """Name of the attribute."""
        return self.attribute.name

    @property
    def is_plain(self) -> bool:
        """Whether the value is found under the name of the attribute, and nowhere else."""
        return self.lookups == ((self.name,),)

    @property
    def converter(self) -> object:
        """The converter of attrs, or None."""
        return attribute(self.attribute, "converter")

    @property
    def converts(self) -> bool:
        """Whether the field has a converter of attrs."""
        return self.converter is not None

    @property
    def has_default(self) -> bool:
        """Whether it need not be given."""
        return self.attribute.default is not attrs.NOTHING

    @property
    def factory(self) -> Factory | None:
        """The factory for the default if it wants the event itself, else None."""
        default: object = self.attribute.default
        return default if is_factory(default) and default.takes_self else None

    def where(self, lookup: Path) -> Path:
        """Return the place that faults of a value found at *lookup* are told at."""
        return lookup if self.by_alias else (self.name,)

    def is_parameter(self, key: object) -> bool:
        """
        Tell whether *key* is written as a parameter. Others are taken out of the extras: names that are none of
        Python's, and fields with init=False, which a stored event brings along.
        """
        if not self.attribute.init or not isinstance(key, str):
            return False
        return key.isidentifier() and not keyword.iskeyword(key) and not key.startswith("_")


@attrs.frozen(slots=True, eq=False)
class Situation:
    """What the fields of a class have in common."""

    cls: type
    marks: Mapping[str, Mark]
    mode: Mode

    @property
    def config(self) -> Mapping[str, object]:
        """`model_config` of the class."""
        return cast("Mapping[str, object]", attribute(self.cls, "model_config"))


def argument(here: Situation, field: attrs.Attribute[object], info: FieldInfo, *, redeclared: bool) -> Argument:
    """
    Return a field as the constructor of its class for one mode sees it.

    Raises:
        DefinitionError: If its type cannot be checked, or a validator cannot be called.
    """
    validator = _with_functions(here, field.name, _validator(here, field.name, info, redeclared=redeclared))
    checks_default = here.config.get("validate_default") if info.validate_default is None else info.validate_default
    return Argument(
        field,
        validator.check,
        validator.exact,
        info,
        lookups(field, info, here.config, here.mode),
        asks=validator.asks,
        checks_default=bool(checks_default),
        by_alias=bool(here.config.get("loc_by_alias", True)),
    )


def _owner(here: Situation, name: str) -> str:
    return f"{here.cls.__qualname__}.{name}"


def _validator(here: Situation, name: str, info: FieldInfo, *, redeclared: bool) -> Validator:
    """Return the check of a field; one of the framework's has rules that no class can change."""
    if name in CHECKS and not redeclared:
        return Validator(info.annotation, name, CHECKS[name], EXACT.get(name, _NOTHING))
    own = compile_type(info.full_annotation, _owner(here, name), here.mode, settings_of(here.config))
    return attrs.evolve(own, check=_both(CHECKS[name], own.check), exact=_NOTHING) if name in CHECKS else own


def _both(first: Check, second: Check) -> Check:
    return lambda value: second(first(value))


def _with_functions(here: Situation, name: str, validator: Validator) -> Validator:
    """Put the validators of a field around its check, in the order in which they were written."""
    for function, mark in here.marks.items():
        if not (isinstance(mark, FieldValidator) and is_meant(name, mark.fields)):
            continue
        doubted = here.mode.doubts(mark.mode)
        if doubted or here.mode.calls(mark.mode):
            made, asks = applied(validator.check, method(here.cls, function), mark.mode, _owner(here, name))
            check = reread(validator.check, made) if doubted else made
            validator = attrs.evolve(validator, check=check, exact=_NOTHING, in_c=False, asks=asks or validator.asks)
    return validator


def is_meant(name: str, fields: tuple[str, ...]) -> bool:
    """Tell whether a decorator's *fields* name this one; ``"*"`` stands for all but the framework's."""
    return name in fields or ("*" in fields and name not in CHECKS)


def lookups(
    field: attrs.Attribute[object], info: FieldInfo, config: Mapping[str, object], mode: Mode
) -> tuple[Path, ...]:
    """Return where a value for a field is looked for; in what bubus wrote itself, by its name first."""
    name: Path = (field.name,)
    alias = info.validation_alias or info.alias
    if not alias:
        return ((field.alias or field.name,),)
    paths: tuple[Path, ...] = ((alias,),) if isinstance(alias, str) else alias
    by_alias = config.get("validate_by_alias") is not False if mode.by_alias is None else mode.by_alias
    if not by_alias:
        return (name,)
    if mode.base64:
        return (name, *(path for path in paths if path != name))
    names_too = by_name(config) if mode.by_name is None else mode.by_name
    return (*paths, name) if names_too and name not in paths else paths


def check_marks(cls: type, marks: Mapping[str, Mark], infos: Mapping[str, FieldInfo]) -> None:
    """
    Refuse decorators that name fields which are not there.

    Raises:
        DefinitionError: If there are any, unless they say ``check_fields=False``.
    """
    for function, mark in marks.items():
        if isinstance(mark, FieldValidator | FieldSerializer) and mark.check_fields is not False:
            missing = [name for name in mark.fields if name != "*" and name not in infos]
            if missing:
                raise DefinitionError(
                    f"{cls.__qualname__}.{function} names {', '.join(missing)}, which is no field; correct the name, "
                    + "or pass check_fields=False if only subclasses have it"
                )
