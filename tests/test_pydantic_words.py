"""pydantic's own words on event classes: the same class body as a BaseModel and as an event, compared."""

from __future__ import annotations

import pickle
from typing import Annotated, Any, ClassVar, Literal

import pydantic
import pydantic_core
import pytest
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    AllowInfNan,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    HttpUrl,
    PlainSerializer,
    PlainValidator,
    PrivateAttr,
    SecretStr,
    Strict,
    StringConstraints,
    ValidationInfo,
    WrapSerializer,
    WrapValidator,
    computed_field,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)

from bubus import BaseEvent, ValidationError
from bubus._codec import decode, encode
from bubus._framework import CHECKS
from bubus.errors import DefinitionError

Outcome = tuple[str, Any]


def twice(value: Any, handler: Any) -> Any:
    """Check a value two times over."""
    return handler(handler(value))


def known(value: str, info: ValidationInfo) -> str:
    """Show what a validator is told."""
    own = [name for name in info.data if name not in CHECKS]
    return f"{value}:{info.field_name}:{','.join(own)}:{info.mode}"


def refused(value: Any) -> Any:
    """Refuse 13 by a fault of its own kind."""
    if value == 13:
        raise pydantic_core.PydanticCustomError("unlucky", "{number} brings no luck", {"number": value})
    return value


def body(base: Any) -> Any:
    """Return a class with a bit of everything, derived from *base* and a mixin, which pydantic may change."""

    class Shouting:
        """A plain mixin with a validator."""

        @field_validator("name", check_fields=False)
        @classmethod
        def _shout(cls, name: str) -> str:
            return name.upper()

    class Order(Shouting, base):
        model_config = ConfigDict(str_strip_whitespace=True, populate_by_name=True, extra="forbid")

        name: str = Field(min_length=2, max_length=9, alias="Name", description="who", examples=["Ada"])
        amount: Annotated[int, Field(gt=0, le=1000), AfterValidator(refused)] = 1
        price: Annotated[float, AllowInfNan(False)] = Field(default=1.0, multiple_of=0.5)
        code: Annotated[str, StringConstraints(to_upper=True, pattern="^[a-z]+$")] = "abc"
        told: Annotated[str, AfterValidator(known)] = "x"
        wrapped: Annotated[int, WrapValidator(twice)] = 2
        before: Annotated[list[int], BeforeValidator(lambda value: value.split() if isinstance(value, str) else value)]
        plain: Annotated[Any, PlainValidator(repr)] = None
        strict: Annotated[int, Strict()] = 3
        url: Annotated[HttpUrl, AfterValidator(str)] = "http://a.b/"  # pyright: ignore[reportAssignmentType] - a default is not checked
        kind: Literal["a", "b"] = Field("a", frozen=True)
        place: int = Field(0, validation_alias=AliasChoices("where", AliasPath("at", 0)), serialization_alias="Place")
        hidden: int = Field(5, exclude=True, repr=False)
        text: Annotated[int, PlainSerializer(str, when_used="json")] = 4
        loud: Annotated[str, WrapSerializer(lambda value, handler: handler(value) + "!")] = "hey"
        secret: SecretStr = SecretStr("hush")
        items: list[int] = Field(default_factory=list[int])

        _seen: list[str] = PrivateAttr(default_factory=list)
        _count: int = PrivateAttr(default=7)

        @field_validator("amount", mode="before")
        @classmethod
        def _from_words(cls, value: Any) -> Any:
            return {"one": 1, "many": 1000}.get(value, value) if isinstance(value, str) else value

        @field_validator("items", mode="wrap")
        @classmethod
        def _sorted(cls, value: Any, handler: Any) -> Any:
            return sorted(handler(value))

        @model_validator(mode="before")
        @classmethod
        def _rename(cls, data: Any) -> Any:
            return {("amount" if key == "quantity" else key): value for key, value in data.items()}

        @model_validator(mode="after")
        def _check(self) -> Any:
            if self.amount * self.price > 5000:
                raise ValueError("too dear")
            self._seen.append(self.name)
            return self

        @field_serializer("price")
        def _euros(self, value: float) -> str:
            return f"{value:.2f}"

        @computed_field(alias="Total", description="amount times price")
        @property
        def total(self) -> float:
            return self.amount * self.price

    return Order


Model, Event = body(BaseModel), body(BaseEvent)

CASES: list[dict[str, Any]] = [
    {"Name": " ada ", "before": "1 2"},
    {"name": "ada", "before": [1], "quantity": "many"},
    {"name": "ada", "before": [1], "amount": "one", "price": 2.5, "code": "xyz"},
    {"name": "ada", "before": [], "told": "y", "wrapped": "3", "plain": 4},
    {"name": "ada", "before": [], "at": [8]},
    {"name": "ada", "before": [], "where": "9"},
    {"name": "ada", "before": [], "url": "http://x.y", "secret": "s", "items": [3, "1", 2], "kind": "b"},
    {"name": "a", "before": "1 x", "amount": 0, "price": 0.3, "code": "A1"},
    {"name": "a" * 10, "before": None, "amount": 1001, "price": "inf", "strict": "3"},
    {"name": "ada", "before": [], "amount": 13, "kind": "c", "url": "no url", "items": ["z"], "wrapped": "q"},
    {"name": "ada", "before": [], "amount": 1000, "price": 5.5},
    {"before": [], "extra": 1},
    {},
]


def outcome(kind: Any, values: dict[str, Any], mode: str) -> Outcome:
    """Return what a class makes of values: its dumps and private attributes, or its faults."""
    try:
        made = (
            kind.model_validate(values) if mode == "python" else kind.model_validate_json(pydantic_core.to_json(values))
        )
    except pydantic.ValidationError as error:
        return "refused", [(fault["type"], fault["loc"], fault["msg"]) for fault in error.errors()]
    skip = {*CHECKS, "event_result_type", "event_processed_at"}
    quiet: Any = {"warnings": False} if kind is Model else {}  # its default is not what its serializer expects
    dumps = [
        made.model_dump(mode=how, by_alias=alias, **quiet) for how in ("python", "json") for alias in (False, True)
    ]
    shown = [{name: value for name, value in dumped.items() if name not in skip} for dumped in dumps]
    return "made", (shown, made._seen, made._count, made.hidden, made.total)


@pytest.mark.parametrize("mode", ["python", "json"])
@pytest.mark.parametrize("values", CASES, ids=range(len(CASES)))
def test_an_event_behaves_as_the_model(values: dict[str, Any], mode: str) -> None:
    """Values, dumps, private attributes and faults (kind, place, words) are those of the same class as a BaseModel."""
    assert outcome(Event, values, mode) == outcome(Model, values, mode)


def test_frozen_fields_refuse_assignment() -> None:
    """With the error that both libraries catch."""
    event = Event(name="ada", before=[])
    with pytest.raises(pydantic.ValidationError) as caught:
        event.kind = "b"

    assert isinstance(caught.value, ValidationError)
    assert [(fault["type"], fault["loc"]) for fault in caught.value.errors()] == [("frozen_field", ("kind",))]


def test_an_event_with_pydantics_words_is_pickled_and_logged() -> None:
    """Copies and what is read from the log are equal; only what is masked must be shown a way."""
    logged = Logged.model_validate({"url": "http://a.b", "at": "4"})
    assert pickle.loads(pickle.dumps(logged)) == logged
    assert decode(encode(logged), Logged) == logged
    assert Event(name="ada", before=[1]).model_copy(update={"amount": 3}).total == 3.0


class Logged(BaseEvent[None]):
    """An event that can be pickled and logged."""

    url: HttpUrl
    at: Annotated[int, Field(gt=3)]


class Spelled(BaseEvent[None]):
    """An event whose validators change the types, or the values, of its fields."""

    url: Annotated[HttpUrl, AfterValidator(str)]
    number: Annotated[int, AfterValidator(str)]
    level: Annotated[int, AfterValidator(lambda value: value + 1)] = 0
    size: int | None = None
    fallback: Annotated[int | str, WrapValidator(lambda value, handler: handler(value) if value != "?" else "unknown")]

    @field_validator("size", mode="after")
    @classmethod
    def _refuse_all_but_the_first_time(cls, value: int | None) -> int | None:
        if not cls.first:
            raise ValueError("too late")
        return value

    first: ClassVar[bool] = True


def test_what_validators_made_comes_back_from_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its type; nothing is changed once more, and nothing refused that was accepted when it was written."""
    event = Spelled.model_validate({"url": "http://a.b", "number": 4, "level": 4, "size": 1, "fallback": "?"})
    line = encode(event)
    monkeypatch.setattr(Spelled, "first", False)

    assert (event.url, event.number, event.level) == ("http://a.b/", "4", 5)
    assert decode(line, Spelled) == event
    with pytest.raises(ValidationError, match="too late"):
        Spelled.model_validate_json(line)


class TestOtherWords:
    """Words that the class above has no place for."""

    def test_a_model_serializer(self) -> None:
        """It dumps the whole event."""

        class Short(BaseEvent[None]):
            name: str

            @model_serializer(mode="plain")
            def _dump(self) -> dict[str, Any]:
                return {"is": self.name}

        assert Short(name="x").model_dump() == {"is": "x"}
        assert Short(name="x").model_dump_json() == '{"is":"x"}'

    def test_a_callable_discriminator_and_one_by_name(self) -> None:
        """Pydantic chooses the member of the union."""

        class Cat(BaseModel):
            kind: Literal["cat"]

        class Dog(BaseModel):
            kind: Literal["dog"]

        class Met(BaseEvent[None]):
            pet: Annotated[Cat | Dog, Field(discriminator="kind", description="whom")]
            other: Cat | Dog = Field(discriminator="kind")

        met = Met.model_validate({"pet": {"kind": "dog"}, "other": {"kind": "cat"}})
        with pytest.raises(ValidationError) as caught:
            Met.model_validate({"pet": {"kind": "cow"}, "other": {}})

        assert (type(met.pet), type(met.other)) == (Dog, Cat)
        assert [fault["type"] for fault in caught.value.errors()] == ["union_tag_invalid", "union_tag_not_found"]

    def test_settings_of_pydantic_1_are_refused(self) -> None:
        """A decorator that pydantic itself has given up is an error that names its successor."""
        with (
            pytest.warns(pydantic.PydanticDeprecatedSince20),
            pytest.raises(DefinitionError, match="use @field_validator"),
        ):

            class Old(BaseEvent[None]):  # pyright: ignore[reportUnusedClass]
                name: str

                @pydantic.validator("name")  # pyright: ignore[reportDeprecated]
                def _check(cls, value: str) -> str:
                    return value

    def test_what_has_no_meaning_in_an_event_is_refused(self) -> None:
        """Not ignored in silence."""
        with pytest.raises(DefinitionError, match="field_title_generator"):

            class Titled(BaseEvent[None]):  # pyright: ignore[reportUnusedClass]
                name: str = Field(field_title_generator=lambda name, _: name)
