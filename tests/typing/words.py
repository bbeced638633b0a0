"""Events in the words of pydantic that bubus offers. Only type checkers read this; see tests/test_typing.py."""

from __future__ import annotations

from typing import Annotated, Any, assert_type

from bubus import (
    BaseEvent,
    ConfigDict,
    Field,
    PrivateAttr,
    computed_field,
    field_serializer,
    field_validator,
    model_validator,
)


class Order(BaseEvent[str]):
    """An event that says all that can be said."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    sku: str = Field(min_length=1, description="what is wanted")
    count: int = Field(default=1, gt=0, le=100)
    tags: list[str] = Field(default_factory=list[str], max_length=3)
    price: Annotated[float, Field(ge=0)] = 0.0
    _seen: int = PrivateAttr(default=0)
    _names: list[str] = PrivateAttr(default_factory=list[str])
    _later: int = PrivateAttr()

    @field_validator("sku")
    @classmethod
    def upper(cls, value: str) -> str:
        """Check one field."""
        return value.upper()

    @model_validator(mode="after")
    def whole(self) -> Order:
        """Check all fields together."""
        return self

    @field_serializer("count")
    def text(self, value: int) -> str:
        """Say how a field is dumped."""
        return str(value)

    @computed_field  # must fail in mypy: it takes no decorator above @property, not pydantic's either
    @property
    def total(self) -> float:
        """Add to what is dumped."""
        return self.count * self.price

    def model_post_init(self, context: Any, /) -> None:
        """Set what is private."""
        self._later = self._seen
        assert_type(self._names, list[str])


class BadDefaults(BaseEvent[None]):
    """Defaults are checked."""

    count: int = Field(default="one", gt=0)  # must fail: a str is no int
    tags: list[str] = Field(default_factory=list[int])  # must fail: a list of int is no list of str
    _seen: int = PrivateAttr(default="never")  # must fail: a str is no int


class BadConfig(BaseEvent[None]):
    """Settings are checked."""

    model_config = ConfigDict(extra="perhaps")  # must fail: there is no such choice


order = Order(sku="a")
assert_type(order, Order)
assert_type(order.total, float)
assert_type(order.text(3), str)
assert_type(Order.upper("a"), str)
assert_type(order.model_copy(), Order)
assert_type(order.model_copy(update={"count": 3}, deep=True), Order)
assert_type(Order.model_construct(sku="x"), Order)
assert_type(order.model_fields_set, set[str])
Order()  # must fail: sku is missing
Order(sku="a", count="x")  # must fail: a str is no int
Order(sku="a", colour="red")  # must fail: there is no such field
Order(sku="a", _seen=3)  # must fail: private
Order(sku="a", _later=3)  # must fail: private
order.model_copy(count=3)  # must fail: changes are given as update=
Order.upper(3)  # must fail: an int is no str
