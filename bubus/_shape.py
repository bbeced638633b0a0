"""What an event class has beside its fields, as the modules know it that make it, below `bubus._model`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Protocol, Self, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    import attrs

    from bubus._arguments import Argument
    from bubus._dump import Options
    from bubus._field_info import FieldInfo
    from bubus._fields import Scope
    from bubus._marks import ComputedField, Mark, Private
    from bubus._mode import Mode
    from bubus._picks import Picks
    from bubus._types import Check, Values

Init: TypeAlias = Callable[..., None]
"""A constructor: takes the new event and its arguments by keyword."""

Build: TypeAlias = Callable[[object, object], object]
"""Takes what the event is made from, and the new event if it is there already; returns the event."""


class Compiled(Protocol):
    """The part of `bubus._define.Blueprint` that other modules need."""

    @property
    def complete(self) -> bool:
        """Whether all names in the annotations were found."""
        ...

    @property
    def scope(self) -> Scope:
        """Where the names in the annotations are looked up."""
        ...

    @property
    def is_plain(self) -> bool:
        """Whether nothing but types is said of the fields: then msgspec may decode events without the constructor."""
        ...

    @property
    def types(self) -> Mapping[str, object]:
        """Own and mixed-in annotations, evaluated."""
        ...

    @property
    def result(self) -> object:
        """What stands in the body as `event_result_type`, MISSING if nothing does."""
        ...

    @property
    def own_marks(self) -> Mapping[str, Mark]:
        """What decorators left in the body, by the names of the functions."""
        ...

    @property
    def marks(self) -> Mapping[str, Mark]:
        """Those of the bases too."""
        ...

    @property
    def infos(self) -> Mapping[str, FieldInfo]:
        """All fields with what is said of them, once the class is complete."""
        ...

    @property
    def has_whole(self) -> bool:
        """Whether there are validators of the whole event."""
        ...

    def init(self, mode: Mode) -> Init:
        """Return the constructor for values of one mode."""
        ...

    def fill(self, mode: Mode) -> Init:
        """Return the constructor that runs no validator of the whole event."""
        ...

    def build(self, mode: Mode) -> Build | None:
        """Return what makes an event of anything with the validators of the whole event, None if there are none."""
        ...

    def complete_arguments(self) -> list[Argument]:
        """Return the fields as the usual constructor sees them."""
        ...

    def argument(self, name: str) -> tuple[int, Argument]:
        """Return the number of a field, and the field as the usual constructor sees it."""
        ...

    def finish(self) -> None:
        """Complete the class, which is about to be used."""
        ...

    def learn(self, names: Mapping[str, object]) -> None:
        """Let further *names* be found in annotations."""
        ...


class EventShape:
    """Base of `EventModel`. It is no attrs class: not even a type checker takes its attributes for fields."""

    if TYPE_CHECKING:  # msgspec evaluates the annotations of all bases
        _event_state: object = None
        """What becomes of it, set by the bus that accepts it. Never written, dumped, compared, copied or shown."""

        event_parent_id: str | None = None

        model_config: ClassVar[Mapping[str, object]]
        event_result_type: ClassVar[object]

        __event_type__: ClassVar[str]
        __event_origin__: ClassVar[type]
        __event_result__: ClassVar[Check | None]
        __event_blueprint__: ClassVar[Compiled]
        __event_given__: ClassVar[Mapping[str, object]]
        __event_version__: ClassVar[str | None]
        __event_upcasts__: ClassVar[Mapping[str, Callable[[Values], Values]]]
        __event_cached__: ClassVar[frozenset[str]]
        __event_arguments__: ClassVar[tuple[object, ...]]
        __event_parameter__: ClassVar[object]
        __event_privates__: ClassVar[Mapping[str, Private]]
        __event_assigner__: ClassVar[Build]
        __event_dump_plan__: ClassVar[object]
        __event_specialised__: ClassVar[Mapping[str, type[EventShape]]]

        __attrs_attrs__: ClassVar[tuple[attrs.Attribute[object], ...]]

        model_fields: ClassVar[Mapping[str, FieldInfo]]
        """All fields by name, with what is said of them."""

        model_computed_fields: ClassVar[Mapping[str, ComputedField]]
        """Computed fields by name."""

        @classmethod
        def __event_build__(cls, values: object, mode: Mode) -> Self:
            """Return an event made from what was read, in one mode."""
            ...

        @classmethod
        def __event_dump_as__(cls, value: EventShape, options: Options, picks: Picks) -> object:
            """Dump an event of a subclass with the fields of this class only."""
            ...

        def __event_write__(self) -> dict[str, object]:
            """Return what the log writes, in JSON's types."""
            ...

        @classmethod
        def __event_from__(cls, value: object, mode: Mode) -> Self:
            """Return what a field of this class makes of *value*."""
            ...

        def model_post_init(self, _context: object, /) -> None:
            """Do more when an event has been made."""
            ...

    else:
        _event_state = None

    @classmethod
    def __pydantic_init_subclass__(cls, **_options: object) -> None:
        """Do nothing: classes may override it, as pydantic's may, to learn of each subclass with its fields."""
