from typing import Any

from pydantic import BaseModel, Field

from app.described import Described


class Colour(BaseModel):
    name: str


class Animal(Described):
    legs: int
    """On the ground."""

    colour: Colour | None = None
    """Of the fur,
    or of the feathers."""

    def run(self) -> None:
        """Not a field's."""


class Cat(Animal):
    legs: int = 4
    """Usually on the table."""

    name: str = Field(default="", description="Said where it is defined.")
    "Said below."

    age: float = 0


def properties(model: type[BaseModel]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = model.model_json_schema()["properties"]
    return found


def test_a_field_is_described_by_the_string_below_it() -> None:
    assert properties(Animal)["legs"]["description"] == "On the ground."
    assert properties(Animal)["colour"]["description"] == "Of the fur,\nor of the feathers."


def test_a_field_of_the_parent_is_described_unless_the_child_does() -> None:
    assert properties(Cat)["colour"]["description"] == "Of the fur,\nor of the feathers."
    assert properties(Cat)["legs"]["description"] == "Usually on the table."


def test_what_a_field_says_itself_stands() -> None:
    assert properties(Cat)["name"]["description"] == "Said where it is defined."


def test_a_field_without_a_string_has_no_description() -> None:
    assert "description" not in properties(Cat)["age"]
