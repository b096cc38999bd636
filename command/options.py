"""Options that several commands share, those before a command, and commands with many of them."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from catdog import __version__


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"catdog {__version__}")
        raise typer.Exit


Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
Models = Annotated[
    str | None, typer.Option(metavar="DIR", help="Folder or URL of the model store (CATDOG_MODELS_DIR).")
]
DataDir = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Folder of pictures, jobs and features (CATDOG_DATA_DIR).")
]
Version = Annotated[
    bool, typer.Option("--version", help="Print the version of catdog.", callback=_print_version, is_eager=True)
]

Given = TypeVar("Given")


def command(run: Callable[[Given], None], options: type[Given]) -> Callable[..., None]:
    """The command of a function with one argument: each field of that dataclass is an argument or option."""

    def typed(**given: Any) -> None:
        run(options(**given))

    typed.__name__, typed.__doc__ = run.__name__, run.__doc__
    typed.__annotations__ = get_type_hints(options, include_extras=True)
    typed.__signature__ = inspect.signature(options)  # type: ignore[attr-defined]  # what Typer reads
    return typed
