"""The part of a Label Studio configuration that names the class of a picture, and results in its form.

A configuration is XML. `<Choices name="animal" toName="photo">` holds the classes as `<Choice value="Cat"/>`, and
`<Image name="photo" value="$image"/>` names the field of a task with the picture's address:
https://labelstud.io/tags/choices
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any, Self

from app.errors import UnsuitableConfiguration
from app.serving.prediction import Prediction
from catdog.names import NEITHER, same_class

Result = list[dict[str, Any]]  # of an annotation or a prediction: one entry for each control that was used


@dataclass(frozen=True)
class Choices:
    """The first choice of classes for a picture in a configuration."""

    name: str  # of the control
    picture: str  # name of the image that it is about
    data_field: str  # of a task
    values: tuple[str, ...]

    @classmethod
    def of(cls, configuration: str) -> Self:
        """Read an XML configuration; UnsuitableConfiguration if none of its choices is about a picture."""
        found = _Tags()
        found.feed(configuration)
        for control in found.choices:
            data_field = found.images.get(control.picture, "")
            if data_field.startswith("$"):
                return cls(control.name, control.picture, data_field[1:], tuple(control.values))
        raise UnsuitableConfiguration

    def address(self, data: Mapping[str, Any]) -> str:
        """The address of the picture in a task's data; empty if there is none."""
        return str(data.get(self.data_field, ""))

    def prelabelled(self, prediction: Prediction) -> Result:
        """The result that chooses the predicted class, `neither` for an unknown photo; empty without such a choice."""
        label = NEITHER if prediction.unknown and same_class(NEITHER, self.values) else prediction.label
        value = same_class(label, self.values)
        if value is None:
            return []
        named = {"from_name": self.name, "to_name": self.picture, "type": "choices"}
        return [{**named, "value": {"choices": [value]}, "score": prediction.probability}]

    def label(self, result: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> str | None:
        """The class that an annotation's result chooses, spelled as in `classes` if it is one of them; else None."""
        for entry in result:
            if entry.get("from_name") == self.name and (chosen := entry.get("value", {}).get("choices")):
                value = str(chosen[0]).strip()
                return same_class(value, (*classes, NEITHER)) or value
        return None


@dataclass
class _Control:
    name: str
    picture: str
    values: list[str] = field(default_factory=list)


class _Tags(HTMLParser):
    """Collects images and choices. It expands no entities of a document, unlike an XML parser, and takes every text."""

    def __init__(self) -> None:
        super().__init__()
        self.images: dict[str, str] = {}
        self.choices: list[_Control] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "image":
            self.images[given.get("name", "")] = given.get("value", "")
        elif tag == "choices":
            self.choices.append(_Control(given.get("name", ""), given.get("toname", "")))
        elif tag == "choice" and self.choices:
            self.choices[-1].values.append(given.get("value", ""))
