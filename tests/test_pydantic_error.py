"""The errors of bubus where pydantic is imported: one class for both."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from typing import Annotated, Any

import attrs
import pydantic
import pydantic_core
import pytest

import bubus
from bubus import BaseEvent


class Order(BaseEvent[int]):
    """An event of plain types."""

    amount: int
    tags: list[int] = attrs.field(factory=list)


def refused(**values: Any) -> Any:
    """Return the error that refuses an order of *values*."""
    with pytest.raises(bubus.ValidationError) as caught:
        Order(**values)
    return caught.value


def run(program: str) -> str:
    """Return what a program prints in an interpreter of its own."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_it_is_caught_under_both_names() -> None:
    """Once pydantic is imported, the error of any event class is an instance of both libraries' ValidationError."""
    error = refused(amount="three")

    assert isinstance(error, pydantic.ValidationError)
    assert isinstance(error, bubus.ValidationError)
    assert isinstance(error, ValueError)
    assert f"{type(error).__module__}.{type(error).__qualname__}" == "bubus.errors.ValidationError"


def test_both_views_tell_the_same() -> None:
    """Pydantic's own methods list the faults that ours list, with their kinds, places, words, inputs and facts."""
    error = refused(amount="three", tags=[1, "x", None])
    theirs = pydantic_core.ValidationError.errors(error, include_url=False)

    assert theirs == error.errors()
    assert [fault["loc"] for fault in theirs] == [("amount",), ("tags", 1), ("tags", 2)]
    assert error.error_count() == pydantic_core.ValidationError.error_count(error) == 3
    assert error.title == "Order"
    assert [fault["type"] for fault in pydantic_core.from_json(error.json())] == [
        "int_parsing",
        "int_parsing",
        "int_type",
    ]


def test_faults_that_pydantic_does_not_know_keep_their_kind_and_words() -> None:
    """A kind of our own, or one with other words, is passed to pydantic as a custom one, braces and all."""

    class Picky(BaseEvent[None]):
        flag: str = attrs.field()

        @flag.validator  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUntypedFunctionDecorator] - attrs' idiom
        def _check(self, _: Any, value: str) -> None:
            raise ValueError(f"not {{error}} but {value}")

    with pytest.raises(pydantic.ValidationError) as caught:
        Picky(flag="{x}")
    (fault,) = pydantic_core.ValidationError.errors(caught.value, include_url=False)

    assert fault["type"] == "value_error"
    assert fault["msg"] == "Value error, not {error} but {x}"


def test_text_and_repr_are_the_same_without_pydantic() -> None:
    """What is printed does not depend on whether pydantic is imported."""
    program = "from bubus import BaseEvent\nclass Order(BaseEvent[int]):\n  amount: int\n  tags: list[int] = []\n{}\n"
    program += "try: Order(amount='three')\nexcept ValueError as error: print(str(error)); print(repr(error))"

    assert run(program.format("import pydantic")) == run(program.format(""))


def test_parts_of_the_faults_can_be_left_out() -> None:
    """`errors` takes pydantic's options."""
    (fault,) = refused(amount=1.5).errors(include_url=True, include_context=False, include_input=False)

    assert fault.keys() == {"type", "loc", "msg"}


def pickled(error: Any) -> Any:
    """Return *error* after a journey through pickle."""
    return pickle.loads(pickle.dumps(error))


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, pickled])
def test_it_is_copied_and_pickled(again: Any) -> None:
    """A copy has the faults, the text and the notes, and is caught under both names."""
    error = refused(amount="three")
    error.add_note("while ordering")
    copied = again(error)

    assert isinstance(copied, pydantic.ValidationError)
    assert isinstance(copied, bubus.ValidationError)
    assert (copied.errors(), str(copied), copied.title) == (error.errors(), str(error), "Order")
    assert copied.__notes__ == ["while ordering"]


def test_a_process_without_pydantic_can_unpickle_it() -> None:
    """There it is our error alone; and one pickled there is both where pydantic is imported."""
    dumped = pickle.dumps(refused(amount="three"))
    program = (
        f"import pickle, sys\nerror = pickle.loads({dumped!r})\n"
        "assert not [name for name in sys.modules if name.startswith('pydantic')]\n"
        "print(type(error).__mro__[1].__name__, error.error_count(), pickle.dumps(error).hex())"
    )
    base, count, back = run(program).split()

    assert (base, count) == ("BubusError", "1")
    assert isinstance(pickle.loads(bytes.fromhex(back)), bubus.ValidationError)


def test_without_pydantic_it_is_ours_alone() -> None:
    """Raising it imports nothing."""
    program = (
        "import sys\nfrom bubus import BaseEvent, ValidationError\nclass E(BaseEvent[int]):\n  x: int\n"
        "try: E(x='a')\nexcept ValidationError as error: print(type(error) is ValidationError)\n"
        "print([name for name in sys.modules if name.startswith('pydantic')])"
    )

    assert run(program).split("\n") == ["True", "[]"]


def test_pydantic_takes_over_the_places_of_its_faults() -> None:
    """Raised within a pydantic validator, its faults appear under the place of the value there."""

    def order(value: Any) -> Order:
        return Order(amount=value)

    adapter: Any = pydantic.TypeAdapter(list[Annotated[Any, pydantic.AfterValidator(order)]])
    with pytest.raises(pydantic.ValidationError) as caught:
        adapter.validate_python([1, "two"])

    assert [(fault["loc"], fault["type"]) for fault in caught.value.errors()] == [((1, "amount"), "int_parsing")]


class Named(pydantic.BaseModel):
    """A model of pydantic."""

    name: str


@attrs.define
class Box:
    """What a converter makes."""

    named: Named


def boxed(value: Any) -> Box:
    """Return *value* in a box, or refuse it in one of several ways."""
    if value == "custom":
        raise pydantic_core.PydanticCustomError("not_a_box", "no {what}", {"what": "box"})
    if value == "known":
        raise pydantic_core.PydanticKnownError("greater_than", {"gt": 3})
    return Box(Named(name=value))


class Parcel(BaseEvent[None]):
    """An event with a converter that uses pydantic."""

    box: Box = attrs.field(converter=boxed)


@pytest.mark.parametrize(
    ("value", "loc", "kind", "words"),
    [
        ("custom", ("box",), "not_a_box", "no box"),
        ("known", ("box",), "greater_than", "Input should be greater than 3"),
        (7, ("box", "name"), "string_type", "Input should be a valid string"),
    ],
)
def test_what_pydantic_raises_in_a_converter_keeps_its_kind(value: Any, loc: Any, kind: str, words: str) -> None:
    """Errors of pydantic raised by a user's function are taken over as they are, not wrapped as a value error."""
    with pytest.raises(bubus.ValidationError) as caught:
        Parcel(box=value)
    (fault,) = caught.value.errors()

    assert (fault["loc"], fault["type"], fault["msg"]) == (loc, kind, words)
