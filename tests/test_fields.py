"""Class bodies: which names are fields, what their defaults are, and where their annotations are looked up."""

from __future__ import annotations

import asyncio
import dataclasses
import fractions
import gc
import inspect
import sys
import threading
import types
import weakref
from abc import ABC, abstractmethod
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Generic, Literal, Self, TypeVar, cast

import attrs
import msgspec
import pytest
from typing_extensions import override

from bubus import AliasChoices, AliasPath, BaseEvent
from bubus._codec import decode, encode
from bubus._words import Field, PrivateAttr
from bubus.errors import DefinitionError, ValidationError
from tests.field_kinds import made, new_class

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

Content = TypeVar("Content")


def names(cls: type[BaseEvent[Any]]) -> list[str]:
    """Return the names of the payload fields, in order."""
    return [field.name for field in attrs.fields(cls) if not field.name.startswith("event_")]


class TestWhichNamesAreFields:
    def test_annotated_public_names_are(self) -> None:
        """A field is an annotated name; class variables, private names, functions and types are not."""

        class Order(BaseEvent[None]):
            amount: int
            currency: str = "EUR"
            kinds: ClassVar[list[str]] = ["a"]
            limit: Final = 5
            _cache: int = 3
            _plain = "x"
            make = dict
            Kind = Literal["a", "b"]
            Amount = int | None
            Numbers = list[int]
            Item = TypeVar("Item")
            library = types

            class Inner:
                pass

        assert names(Order) == ["amount", "currency"]
        assert (Order.kinds, Order.limit, vars(Order)["_cache"], Order.make) == (["a"], 5, 3, dict)

    @pytest.mark.parametrize("value", [3, "x", None, [1], timedelta(1)], ids=str)
    def test_a_plain_value_without_an_annotation_is_refused(self, value: object) -> None:
        """It would be no field, in silence; the error names both things that may be meant."""
        with pytest.raises(DefinitionError, match=r"Order\.limit has no annotation.*field.*ClassVar"):
            new_class("Order", BaseEvent, limit=value)

    def test_a_setting_of_a_mixin_needs_no_annotation(self) -> None:
        """A name that a base has is known to be no field."""

        class Limited:
            limit = 3
            unit: ClassVar[str] = "EUR"

        class Order(Limited, BaseEvent[None]):
            limit = 5
            unit = "USD"

        assert (names(Order), Order.limit, Order.unit) == ([], 5, "USD")

    def test_fields_keep_their_order(self) -> None:
        """Inherited fields come first, an overridden one keeps its place."""

        class Base(BaseEvent[None]):
            a: int
            b: int

        class Derived(Base):
            c: int
            a: int = 5

        assert names(Derived) == ["a", "b", "c"]
        assert list(Derived(b=1, c=2).__dict__)[-3:] == ["a", "b", "c"]

    def test_a_plain_mixin_brings_fields(self) -> None:
        """Annotations of a class that is no event become fields of the event that mixes it in."""

        class Audited:
            who: str
            why: str = "because"

        class Order(Audited, BaseEvent[None]):
            amount: int

        assert names(Order) == ["who", "why", "amount"]
        assert made(Order, who="me", amount=1).why == "because"
        with pytest.raises(ValidationError, match="who"):
            made(Order, amount=1)

    def test_dataclass_and_attrs_mixins_bring_fields(self) -> None:
        """Defaults and factories of dataclasses and attrs classes work in the event that mixes them in."""

        @dataclasses.dataclass
        class Tagged:
            tags: list[str] = dataclasses.field(default_factory=list[str])
            level: int = 1

        @attrs.define(slots=False)
        class Placed:
            place: str = "here"

        class Order(Tagged, Placed, BaseEvent[None]):
            amount: int

        first, second = Order(amount=1), Order(amount=2, place="there")
        first.tags.append("x")

        assert (second.tags, second.level, second.place) == ([], 1, "there")
        with pytest.raises(ValidationError, match="level"):
            made(Order, amount=1, level="high")

    @pytest.mark.parametrize("name", ["event_amount", "model_name"])
    def test_reserved_names_are_refused(self, name: str) -> None:
        """A new field may not begin with event_ or model_: a TypeError when the class is written."""
        with pytest.raises(DefinitionError, match=f"Order.{name}: names that begin with"):
            new_class("Order", BaseEvent, __annotations__={name: int})

        assert issubclass(DefinitionError, TypeError)

    def test_a_field_named_self_is_refused(self) -> None:
        """Attrs has no room for it; the error says so before attrs fails."""
        with pytest.raises(DefinitionError, match="self"):
            new_class("Order", BaseEvent, __annotations__={"self": int})

    def test_a_field_without_annotation_is_refused(self) -> None:
        """attrs.field or Field without an annotation is a mistake."""
        with pytest.raises(DefinitionError, match="amount has no annotation"):
            new_class("Order", BaseEvent, amount=attrs.field(default=1))

    def test_a_property_may_not_hide_a_field(self) -> None:
        """A method or property with the name of an inherited field would make it unreachable."""

        class Base(BaseEvent[None]):
            amount: int

        with pytest.raises(DefinitionError, match="amount would hide a field"):
            new_class("Derived", Base, amount=property(lambda _: 1))

    def test_a_class_variable_may_not_hide_a_field(self) -> None:
        """An inherited field would still be one, with another value than the class."""

        class Base(BaseEvent[None]):
            amount: int = 3

        with pytest.raises(DefinitionError, match=r"amount is a field in a base.*rename it"):

            class Derived(Base):  # pyright: ignore[reportUnusedClass] - it is refused
                amount: ClassVar[int] = 1  # pyright: ignore[reportIncompatibleVariableOverride] - the point of it

    def test_what_would_hide_the_value_of_a_field_is_refused(self) -> None:
        """A property or a slot of the class or of a base: the value would not be dumped, or could not be set."""

        class Counted(BaseEvent[None]):
            @property
            def amount(self) -> int:
                return 3

        @attrs.define
        class Slotted:
            amount: int

        for bases, body in (((Counted,), {}), ((Slotted, BaseEvent), {}), ((BaseEvent,), {"__slots__": ("amount",)})):
            with pytest.raises(DefinitionError, match=r"amount: a property or slot of .* would hide this field"):
                new_class("Order", *bases, __annotations__={"amount": int}, **body)

    @pytest.mark.parametrize("name", ["class", "two words", ""])
    def test_a_field_is_a_name(self, name: str) -> None:
        """Others were a SyntaxError about generated code; the error tells of aliases, which may be anything."""
        with pytest.raises(DefinitionError, match=f"can be called '{name}'.*alias"):
            new_class("Order", BaseEvent, __annotations__={name: int})

    @pytest.mark.parametrize("decorate", [attrs.define, attrs.define(slots=False), dataclasses.dataclass])
    def test_a_decorator_is_refused(self, decorate: Any) -> None:
        """An event class is an attrs class already; decorating it makes a second, broken one."""
        with pytest.raises(DefinitionError, match=r"Order is an attrs class already.*remove the decorator"):

            @decorate
            class Order(BaseEvent[None]):  # pyright: ignore[reportUnusedClass] - it is refused
                amount: int

    def test_settings_that_are_no_dict_are_refused(self) -> None:
        """The error shows how they are written."""
        with pytest.raises(DefinitionError, match=r"Order: settings.*model_config = ConfigDict"):
            new_class("Order", BaseEvent, model_config=3)

    def test_settings_may_be_written_as_in_pydantic_1(self) -> None:
        """`class Config` says the same, with a DeprecationWarning at the class; beside model_config it is refused."""
        with pytest.warns(DeprecationWarning, match="Order: `class Config` is deprecated") as told:

            class Order(BaseEvent[None]):
                amount: int

                class Config:
                    frozen = True

        assert [one.filename for one in told] == [__file__]
        with pytest.raises(ValidationError, match="frozen"):
            Order(amount=1).amount = 2
        with pytest.raises(DefinitionError, match="both model_config and a class Config"):
            new_class("Twice", BaseEvent, model_config={}, Config=Order.Config)

    def test_abstract_bases_and_methods_work(self) -> None:
        """A class with an abstract method makes no events, one that has the method does."""

        class Priced(ABC):
            @abstractmethod
            def price(self) -> int: ...

        class Sale(BaseEvent[None], Priced):
            amount: int = 2

            @override
            @abstractmethod
            def price(self) -> int: ...

        class Order(Sale):
            @override
            def price(self) -> int:
                return self.amount

        with pytest.raises(TypeError, match="abstract"):
            made(Sale)
        order = Order(amount=3)
        assert order.price() == 3
        assert isinstance(order, Priced)
        assert issubclass(Order, Sale)
        assert not isinstance(order, type("Other", (Sale,), {}))

    def test_a_class_made_by_a_call_belongs_to_the_calling_module(self) -> None:
        """So its schema says where it is from, and it can be pickled if its name is there."""
        assert type("Order", (BaseEvent,), {}).__module__ == __name__


class TestDefaults:
    def test_mutable_literals_are_copied(self) -> None:
        """Two events never share a list, dict or set that was written as a default."""

        class Order(BaseEvent[None]):
            items: list[int] = []  # noqa: RUF012 - that is the point
            prices: dict[str, list[int]] = {"a": [1]}  # noqa: RUF012
            tags: set[str] = attrs.field(default={"x"})

        first, second = Order(), Order()
        first.items.append(1)
        first.prices["a"].append(2)
        first.tags.add("y")

        assert (second.items, second.prices, second.tags) == ([], {"a": [1]}, {"x"})

    def test_fields_of_dataclasses_are_understood(self) -> None:
        """`dataclasses.field` says the same as `Field`, as for pydantic; it is not the default itself."""

        class Order(BaseEvent[None]):
            tags: list[str] = dataclasses.field(default_factory=list[str])
            level: int = dataclasses.field(default=3, repr=False)
            amount: int = dataclasses.field()

        first, second = Order(amount=1), Order(amount=2)
        first.tags.append("x")

        assert (second.tags, second.level) == ([], 3)
        assert "level" not in repr(first)
        with pytest.raises(ValidationError, match="amount"):
            made(Order)

    def test_a_default_that_cannot_be_copied_is_refused(self) -> None:
        """When the class is made, and not when an event is."""
        with pytest.raises(DefinitionError, match=r"Order\.locks: its default cannot be copied.*default_factory"):
            new_class("Order", BaseEvent, __annotations__={"locks": list}, locks=[threading.Lock()])

    @pytest.mark.parametrize("word", [Field, PrivateAttr])
    @pytest.mark.parametrize("factory", [3, asyncio.sleep], ids=["number", "async"])
    def test_a_factory_that_makes_no_default_is_refused(self, word: Callable[..., object], factory: object) -> None:
        """Something that cannot be called, and an async function, whose coroutine would be the default."""
        with pytest.raises(DefinitionError, match=r"default_factory=.* must be a function"):
            word(default_factory=factory)

    def test_factories_are_called_once_per_event(self) -> None:
        """attrs.field(factory=…), Factory(takes_self=True) and Field(default_factory=…) work."""

        class Order(BaseEvent[None]):
            first: list[int] = attrs.field(factory=list[int])
            second: list[int] = Field(default_factory=list[int])
            third: str = attrs.Factory(lambda order: order.event_type.lower(), takes_self=True)

        order = Order()

        assert order.first == order.second == []
        assert order.first is not Order().first
        assert order.third == "order"

    def test_a_default_may_be_replaced_without_annotation(self) -> None:
        """A subclass may give an inherited field another default."""

        class Base(BaseEvent[None]):
            amount: int = 1

        class Derived(Base):
            amount = 5
            event_timeout = 2.5

        assert Derived().amount == 5
        assert Derived().event_timeout == 2.5
        assert Base().event_timeout == 60.0

    def test_field_alone_means_required(self) -> None:
        """Field() and Field(...) declare a required field."""

        class Order(BaseEvent[None]):
            amount: int = Field()
            other: int = Field(default=cast("int", ...))

        with pytest.raises(ValidationError) as caught:
            made(Order)

        assert [one["loc"] for one in caught.value.errors()] == [("amount",), ("other",)]


class TestAttrsFeatures:
    def test_validators_run(self) -> None:
        """An attrs validator may refuse a value, also a default; all faults are told at once."""

        class Order(BaseEvent[None]):
            amount: int = attrs.field(validator=attrs.validators.gt(0))
            rate: int = attrs.field(default=0, validator=attrs.validators.in_([1, 2]))

        with pytest.raises(ValidationError) as caught:
            Order(amount=-1)

        assert [(one["type"], one["loc"]) for one in caught.value.errors()] == [
            ("value_error", ("amount",)),
            ("value_error", ("rate",)),
        ]

    def test_validators_can_be_disabled(self) -> None:
        """What attrs says about disabled validators holds for events."""

        class Order(BaseEvent[None]):
            amount: int = attrs.field(validator=attrs.validators.gt(0))

        with attrs.validators.disabled():
            assert Order(amount=-1).amount == -1

    def test_converters_run_first(self) -> None:
        """A converter makes the value that the annotation describes, also of a default."""

        class Order(BaseEvent[None]):
            name: str = attrs.field(converter=str.upper, default="x")
            count: int = attrs.field(
                converter=attrs.Converter(lambda value, self_: value + 1, takes_self=True), default=1
            )

        assert Order(name="abc").name == "ABC"
        assert (Order().name, Order().count) == ("X", 2)
        with pytest.raises(ValidationError, match="name"):
            made(Order, name=5)

    def test_aliases_name_the_argument(self) -> None:
        """The constructor takes a field's alias, also one that is a keyword of Python."""

        class Order(BaseEvent[None]):
            amount: int = attrs.field(alias="sum")
            origin: str = Field(alias="from")

        order = made(Order, sum=1, **{"from": "here"})

        assert (order.amount, order.origin) == (1, "here")
        with pytest.raises(ValidationError, match="sum"):
            made(Order, **{"sum": "x", "from": "y"})

    def test_fields_without_init_are_read_back(self) -> None:
        """attrs.field(init=False) is no parameter, but an event that was written comes back with its value."""

        class Order(BaseEvent[None]):
            total: int = attrs.field(init=False, default=0)

        assert Order().total == 0
        order = Order()
        order.total = 5
        assert Order.model_validate_json(order.model_dump_json()).total == 5
        assert "total" not in inspect.signature(Order.__init__).parameters

    def test_a_name_of_the_framework_can_be_an_alias_of_another_field(self) -> None:
        """Values are found there too, whether anything else is given or not."""

        class First(BaseEvent[None]):
            first: str = Field(default="none", validation_alias=AliasChoices("first", AliasPath("event_path", 0)))
            limit: float = Field(default=1.0, validation_alias=AliasChoices("limit", "event_timeout"))

        alone = made(First, event_path=["a"], event_timeout=5)
        more = made(First, event_path=["a"], event_timeout=5, note="x")
        for event in (alone, more):
            assert (event.first, event.limit, event.event_timeout, event.event_path) == ("a", 5.0, 5.0, ["a"])

    def test_fields_may_be_found_at_the_same_place(self) -> None:
        """Each takes what stands there as it was given, or its own default; in a log each has its own value."""

        class After(BaseEvent[None]):
            number: int = 7
            text: str = Field(default="none", alias="number")

        class Before(BaseEvent[None]):
            text: str = Field(default="none", alias="number")
            number: int = 7

        class Both(BaseEvent[None]):
            number: int = Field(default=7, alias="it")
            text: Annotated[str, Field(alias="it")] = "none"

        class Limit(BaseEvent[None]):
            number: int = Field(default=7, alias="event_timeout")
            text: str = "none"

        for kind, place in ((After, "number"), (Before, "number"), (Both, "it")):
            given, bare = made(kind, **{place: "5"}), made(kind)
            assert (given.number, given.text, bare.number, bare.text) == (5, "5", 7, "none")
            assert decode(encode(given), kind) == given
        assert (made(Limit, event_timeout=3).number, made(Limit, event_timeout=3).event_timeout) == (3, 3.0)
        assert (made(Limit).number, made(Limit).event_timeout) == (7, 60.0)

    def test_a_second_place_may_be_that_of_another_field(self) -> None:
        """What stands there is no extra where the first place had the value."""

        class First(BaseEvent[None]):
            limit: float = Field(default=1.0, validation_alias=AliasChoices("limit", "event_timeout"))

        event = made(First, limit=4, event_timeout=5)
        assert (event.limit, event.event_timeout) == (4.0, 5.0)
        assert decode(encode(event), First) == event

    def test_self_may_be_an_alias(self) -> None:
        """The constructor's own parameter is positional only."""

        class Order(BaseEvent[None]):
            owner: str = Field(alias="self")

        assert made(Order, self="Ada").owner == Order.model_validate({"self": "Ada"}).owner == "Ada"

    @pytest.mark.parametrize("alias", ["event_id", "other", "self", "two words", "class"])
    def test_an_alias_that_attrs_cannot_take_is_refused(self, alias: str) -> None:
        """It would raise a SyntaxError about code that nobody wrote; the error names field and alias."""
        with pytest.raises(DefinitionError, match=f"amount.*{alias}"):

            class Order(BaseEvent[None]):  # pyright: ignore[reportUnusedClass] - it is refused
                amount: int = attrs.field(alias=alias)
                other: int = 0

    @pytest.mark.parametrize("word", ["alias", "validation_alias", "serialization_alias"])
    def test_an_empty_alias_is_refused(self, word: str) -> None:
        """It would not be found."""
        with pytest.raises(DefinitionError, match=word):
            made(Field, **{word: ""})

    def test_hooks_around_the_constructor_run(self) -> None:
        """__attrs_pre_init__ and __attrs_post_init__ are called."""
        called: list[str] = []

        class Order(BaseEvent[None]):
            amount: int

            def __attrs_pre_init__(self) -> None:
                called.append("pre")

            def __attrs_post_init__(self) -> None:
                called.append(f"post {self.amount}")

        Order(amount=1)

        assert called == ["pre", "post 1"]

    def test_assignment_converts_and_validates(self) -> None:
        """Setting an attribute runs the field's converter and validator, as in every attrs class."""

        class Order(BaseEvent[None]):
            name: str = attrs.field(converter=str.upper, validator=attrs.validators.max_len(3))

        order = Order(name="abc")
        order.name = "x"

        assert order.name == "X"
        with pytest.raises(ValueError, match=r"max_len|must be <= 3"):
            order.name = "abcd"


class Late(BaseEvent[None]):
    """Names a class that is written later in the module."""

    other: Later | None = None
    me: Late | None = None


class Later(BaseEvent[None]):
    """Written after the one that names it."""

    amount: int = 1


class TestNames:
    def test_a_class_written_later_is_found(self) -> None:
        """As soon as the class named in an annotation exists, the event is complete."""
        assert attrs.fields(Late).other.type == Later | None
        late = made(Late, other={"amount": "2"}, me=Late())

        assert late.other is not None
        assert late.other.amount == 2

    def test_local_names_are_found(self) -> None:
        """Names of the function around a class can be used, also those assigned after it."""

        class Order(BaseEvent[None]):
            item: Item
            again: Order | None = None

        with pytest.raises(DefinitionError, match=r"Order: name 'Item' is not defined.*define it before"):
            made(Order, item=1)

        class Item:
            pass

        item = Item()

        assert Order(item=item).item is item
        with pytest.raises(ValidationError, match="instance of Item"):
            made(Order, item=5)

    def test_names_of_a_class_body_are_found(self) -> None:
        """An event inside a class may name what stands there."""

        class Shop:
            class Item:
                pass

            class Order(BaseEvent[None]):
                item: Shop.Item

        item = Shop.Item()

        assert Shop.Order(item=item).item is item

    def test_types_in_the_body_of_the_event_itself_are_found(self) -> None:
        """They count before those of the same name around the class, as in Python."""

        class Item:
            pass

        class Order(BaseEvent[None]):
            class Item(BaseEvent[None]):
                amount: int = 1

            Kind = Literal["a", "b"]

            item: Item
            kind: Kind

        order = made(Order, item={"amount": "3"}, kind="a")

        assert type(order.item) is Order.Item
        assert order.item is not Item
        with pytest.raises(ValidationError, match="kind"):
            made(Order, item={}, kind="c")

    def test_annotations_of_a_mixin_are_read_where_it_is_written(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The names that its module imports need not be known to that of the event."""
        module = types.ModuleType("a_module_with_a_mixin")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(
            "from __future__ import annotations\nfrom decimal import Decimal as Money\nclass Priced:\n    price: Money",
            vars(module),
        )

        Order = new_class("Order", module.Priced, BaseEvent)

        assert made(Order, price="1.50").price == fractions.Fraction("1.5")
        with pytest.raises(ValidationError, match="price"):
            made(Order, price="much")

    def test_self_is_the_class_of_the_event(self) -> None:
        """In a subclass and in a generic class that is filled in it is that one, as for pydantic."""

        class Branch(BaseEvent[None], Generic[Content]):
            item: Content
            over: Self | None = None
            under: list[Self] = []  # noqa: RUF012 - copied per event
            by: Annotated[dict[str, Self | None], "name"] = {}  # noqa: RUF012 - likewise

        class Twig(Branch[int]):
            pass

        twig = made(Twig, item=1, over={"item": "2"}, under=[{"item": 3}], by={"x": None, "y": {"item": 4}})
        kinds = [type(one) for one in (twig.over, *twig.under, twig.by["y"])]

        assert kinds == [Twig] * 3
        assert decode(encode(twig), Twig) == twig
        with pytest.raises(ValidationError, match=r"under\.0"):
            made(Twig, item=1, under=[Branch[int](item=1)])
        with pytest.raises(ValidationError, match=r"under\.0\.item"):
            made(Branch[int], item=1, under=[{"item": "x"}])

    @pytest.mark.parametrize("annotation", ["int |", "list(int)", "Literal", "Literal[[]]['x']"])
    def test_an_annotation_that_is_no_type_is_told(self, annotation: str) -> None:
        """The error names the field."""
        with pytest.raises(DefinitionError, match=r"Order\.amount.* is no type"):
            new_class("Order", BaseEvent, __annotations__={"amount": annotation}, __module__=__name__)

    def test_names_for_type_checkers_only_are_told(self) -> None:
        """A name imported under TYPE_CHECKING cannot be checked; the error says what to do."""

        class Order(BaseEvent[None]):
            price: Decimal

        with pytest.raises(DefinitionError, match=r"'Decimal' is not defined.*import it outside `if TYPE_CHECKING`"):
            made(Order, price=1)

    def test_the_function_is_let_go(self) -> None:
        """Once all names are found, the class keeps nothing alive of the function it was written in."""

        class Big:
            pass

        def make() -> tuple[type[BaseEvent[None]], weakref.ref[Big]]:
            big = Big()

            class Order(BaseEvent[None]):
                other: Order | None = None

            return Order, weakref.ref(big)

        order, big = make()
        gc.collect()

        assert big() is None
        assert order.__event_blueprint__.scope.frame is None

    def test_annotations_that_are_no_strings_work(self) -> None:
        """A class without `from __future__ import annotations` is the same."""
        namespace: dict[str, Any] = {}
        code = "from bubus import BaseEvent\nclass Order(BaseEvent['str']): amount: 'int | None' = None; b: int = 1"
        exec(code, namespace)
        order = namespace["Order"](amount="5", b="6")

        assert (order.amount, order.b) == (5, 6)
        assert namespace["Order"].event_result_type is str


class TestMsgspecAgrees:
    def test_plain_msgspec_reads_local_classes(self) -> None:
        """Msgspec finds evaluated annotations on the class, so names local to a function are no hindrance."""

        class Item(msgspec.Struct):
            price: int

        class Order(BaseEvent[None]):
            items: list[Item]
            kind: Literal["a", "b"] = "a"

        order = Order(items=[Item(1)])

        assert msgspec.json.decode(msgspec.json.encode(order), type=Order) == order


class TestMisspelt:
    """What is nearly a name that bubus knows."""

    def test_an_attribute_that_sets_nothing_is_refused(self) -> None:
        """Names that begin with event_ or model_ are kept; methods, and what a base has, may be called so."""
        with pytest.raises(DefinitionError, match=r"S\.event_timeot sets nothing.*; did you mean event_timeout\?$"):
            new_class("S", BaseEvent, event_timeot=5)
        with pytest.raises(DefinitionError, match=r"S\.model_thing sets nothing that events have.*; rename it$"):
            new_class("S", BaseEvent, model_thing=3)
        with pytest.raises(DefinitionError, match=r"S\.event_paht: names.*; did you mean event_path\?$"):
            new_class("S", BaseEvent, __annotations__={"event_paht": int})

        class Fine(BaseEvent[None]):
            event_known: ClassVar[int] = 1
            event_timeout = 3.0
            event_part = property(lambda self: self.event_id[-4:])

            def event_method(self) -> int:
                return 1

        class Finer(Fine):
            event_known = 2

        assert (Finer.event_known, Finer().event_timeout, Finer().event_method()) == (2, 3.0, 1)

    def test_a_keyword_that_is_no_setting_is_refused(self) -> None:
        """Unless a base of the user's own takes it."""
        with pytest.raises(DefinitionError, match=r"vershun=…\): there is no such setting.*; did you mean version\?$"):
            types.new_class("S", (BaseEvent,), {"vershun": "1"})
        with pytest.raises(DefinitionError, match=r"did you mean frozen\?$"):
            types.new_class("S", (BaseEvent,), {"frozn": True})

        class Labelled:
            label: ClassVar[str] = ""

            def __init_subclass__(cls, label: str = "", **more: Any) -> None:
                super().__init_subclass__(**more)
                cls.label = label

        class Mixed(Labelled, BaseEvent[None], label="x", version="2"):
            pass

        assert (Mixed.label, Mixed().event_schema.partition("@")[2]) == ("x", "2")

    def test_pydantics_hook_for_subclasses_is_called(self) -> None:
        """Once for each finished subclass, with its fields and the keywords that a base of the user's own took."""
        seen: list[tuple[str, list[str], str]] = []

        class Told(BaseEvent[None]):
            label: ClassVar[str] = ""

            def __init_subclass__(cls, label: str = "", **more: Any) -> None:
                super().__init_subclass__(**more)

            @classmethod
            def __pydantic_init_subclass__(cls, label: str = "", **more: Any) -> None:
                super().__pydantic_init_subclass__(**more)
                seen.append((cls.__name__, list(cls.model_fields)[-1:], label))

        class First(Told):
            amount: int

        class Second(First, label="x"):
            note: str = ""

        assert seen == [("First", ["amount"], ""), ("Second", ["note"], "x")]
        assert Second(amount=1).note == ""
