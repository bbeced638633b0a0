"""What happens in a parcel service, as events: their fields and rules in pydantic's words."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic
from pydantic import BaseModel, EmailStr, Field, HttpUrl, StringConstraints, field_validator, model_validator

from bubus import BaseEvent

Country = Annotated[str, StringConstraints(strip_whitespace=True, to_upper=True, pattern="^[A-Za-z]{2}$")]
Number = Annotated[str, StringConstraints(pattern=r"^P-\d{6}$")]


class Parcel(BaseModel):
    """What is sent: size in centimetres, weight in kilograms."""

    length: float = Field(gt=0, le=200)
    width: float = Field(gt=0, le=200)
    height: float = Field(gt=0, le=200)
    weight: float = Field(gt=0, le=31.5)

    @property
    def charged_weight(self) -> float:
        """The weight, or that which the size stands for, if that is more."""
        return max(self.weight, self.length * self.width * self.height / 5000)


class Quote(BaseModel):
    """What a parcel costs."""

    cents: int
    zone: str
    charged_weight: float


class Receipt(BaseModel):
    """A payment that was taken."""

    cents: int
    card: str


class Booking(BaseModel):
    """A parcel that is on its way."""

    number: Number
    cents: int
    label: str


class QuoteAsked(BaseEvent[Quote]):
    """Somebody wants to know what a parcel costs."""

    parcel: Parcel
    country: Country


class PaymentDue(BaseEvent[Receipt]):
    """A card is to be charged."""

    cents: int = Field(gt=0)
    card: pydantic.SecretStr

    @field_validator("card")
    @classmethod
    def check_digits(cls, card: pydantic.SecretStr) -> pydantic.SecretStr:
        """Refuse a card whose check digit is wrong."""
        digits = [int(digit) for digit in card.get_secret_value().replace(" ", "")]
        doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
        if (sum(doubled) + sum(digits[::-2])) % 10:
            raise ValueError("the card number has a typing error")
        return card


class LabelNeeded(BaseEvent[str]):
    """A label is to be printed."""

    event_timeout: float | None = 0.5

    number: Number
    country: Country


class ParcelBooked(BaseEvent[Booking]):
    """Somebody sends a parcel."""

    event_type: Literal["ParcelBooked"] = "ParcelBooked"  # pyright: ignore[reportIncompatibleVariableOverride] - a discriminator needs the one name

    parcel: Parcel
    country: Country
    recipient: EmailStr
    card: pydantic.SecretStr
    callback: HttpUrl | None = None
    insured_cents: int = Field(0, ge=0, alias="insuredCents", description="What is paid if it is lost")

    @model_validator(mode="after")
    def limit_insurance(self) -> ParcelBooked:
        """Insure only what is not too light to be worth it."""
        if self.insured_cents > 100_00 and self.parcel.weight < 0.1:
            raise ValueError("letters are insured up to 100 euros")
        return self


class ParcelScanned(BaseEvent[int]):
    """A parcel passed a depot; the result is how often it was scanned."""

    event_type: Literal["ParcelScanned"] = "ParcelScanned"  # pyright: ignore[reportIncompatibleVariableOverride] - a discriminator needs the one name

    number: Number
    depot: str = Field(min_length=2, max_length=30)
    delivered: bool = False
