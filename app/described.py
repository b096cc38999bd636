"""Fields that are described by the strings below them."""

import ast
import inspect
import sys
from functools import cache
from itertools import pairwise

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


class Described(BaseModel):
    """A model whose JSON schema describes each field with the string below it; it is on its module's top level.

    As pydantic's `use_attribute_docstrings`, but read when a schema is asked for: that looks for the source of
    each class while it is made, at each start.
    """

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for model in cls.__mro__:
            if issubclass(model, Described):
                for name, description in _descriptions(model).items():
                    properties.get(name, {}).setdefault("description", description)
        return schema


def _descriptions(model: type[Described]) -> dict[str, str]:
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in pairwise(_classes(model.__module__)[model.__name__].body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }


@cache
def _classes(module: str) -> dict[str, ast.ClassDef]:
    source = inspect.getsource(sys.modules[module])  # of a class it looks through all modules first
    return {each.name: each for each in ast.parse(source).body if isinstance(each, ast.ClassDef)}
