"""What `inspect` and `help` tell of the constructor of an event class, and so frameworks that inject dependencies."""

from __future__ import annotations

from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Final, final

from typing_extensions import override

from bubus._narrow import is_factory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bubus._arguments import Argument


@final
class _Made:
    """Stands for a default that is made for each event."""

    @override
    def __repr__(self) -> str:
        return "<factory>"


_MADE: Final = _Made()


def signature(arguments: Sequence[Argument]) -> Signature:
    """Return what can be given by name, each field at the first place where it is looked for."""
    parameters: dict[str, Parameter] = {}
    for argument in arguments:
        name = next((path[0] for path in argument.lookups if len(path) == 1 and argument.is_parameter(path[0])), None)
        if isinstance(name, str) and name not in parameters:
            parameters[name] = Parameter(
                name, Parameter.KEYWORD_ONLY, default=_default(argument), annotation=argument.attribute.type
            )
    return Signature(
        [
            Parameter("_self", Parameter.POSITIONAL_ONLY),
            *parameters.values(),
            Parameter("_extras", Parameter.VAR_KEYWORD),
        ],
        return_annotation=None,
    )


def _default(argument: Argument) -> object:
    if not argument.has_default:
        return Parameter.empty
    default: object = argument.attribute.default
    return _MADE if is_factory(default) else default
