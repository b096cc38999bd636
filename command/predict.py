"""`catdog predict`: answers for a few photos, without a server or from one."""

import json as encoding
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from catdog import exit_status
from catdog.errors import CatdogError
from command.options import Json

HIDDEN = {"prediction_id"}  # of no use without the server that gave it


class Answer(NamedTuple):
    """What is known of one file: the fields of an answer, or the reason why there is none."""

    path: Path
    fields: dict[str, Any]
    error: str | None = None


def predict(
    photos: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Photos.", show_default=False)],
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Ask the service at this address, such as http://127.0.0.1:8000."),
    ] = None,
    key: Annotated[
        str | None, typer.Option(metavar="KEY", envvar="CATDOG_PREDICT_KEY", help="Its predict key, if it has one.")
    ] = None,
    json: Json = False,
) -> None:
    """Say what photos show: catdog predict cat.jpg dog.jpg

    Without --url no service is needed: the answers are those of one that serves the same champion.
    """
    is_well = True
    for answer in _here(photos) if url is None else _from(url, key, photos):
        is_well = is_well and answer.error is None
        typer.echo(_as_json(answer) if json else _as_text(answer), err=answer.error is not None and not json)
    raise typer.Exit(exit_status.DONE if is_well else exit_status.FAILED)


def _here(photos: Iterable[Path]) -> Iterator[Answer]:
    """Answers of the champion in this process."""
    import numpy as np

    from catdog import images
    from command import local_model

    settings = local_model.settings()
    model = local_model.loaded(settings)
    for path in photos:
        try:
            output = model.engine.infer(images.decode(path.read_bytes())[np.newaxis])
        except (CatdogError, OSError) as error:
            yield Answer(path, {}, _reason(error))
        else:
            prediction = model.answer(output, keep=settings.unknown_keep)
            yield Answer(path, prediction.model_dump(exclude=HIDDEN))


def _from(url: str, key: str | None, photos: Iterable[Path]) -> Iterator[Answer]:
    """Answers of a service; one that can't be reached ends the command."""
    from catdog.client import Client, Refused

    with Client(url, key) as client:
        for path in photos:
            try:
                yield Answer(path, client.predict(path).model_dump())
            except (Refused, OSError) as error:
                yield Answer(path, {}, _reason(error))


def _reason(error: CatdogError | OSError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def _as_json(answer: Answer) -> str:
    outcome = answer.fields if answer.error is None else {"error": answer.error}
    return encoding.dumps({"path": str(answer.path), **outcome})


def _as_text(answer: Answer) -> str:
    if answer.error is not None:
        return f"{answer.path}: {answer.error}"
    unknown = " (unknown: it looks like none of the classes)" if answer.fields["unknown"] else ""
    return f"{answer.path}: {answer.fields['label']} {answer.fields['probability']:.1%}{unknown}"
