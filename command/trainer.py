"""The commands of the trainer, which reads their options itself."""

import sys
from collections.abc import Callable
from typing import Final, NamedTuple

import typer

from command import local_model

# All words after the command belong to the trainer, `--help` included.
UNREAD: Final = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


class Command(NamedTuple):
    """A command of `python -m training`; `writes` says whether it adds or changes versions."""

    help: str
    writes: bool = False


COMMANDS: Final = {
    "train": Command("Train a version: catdog train --data photos", writes=True),
    "compress": Command("Train a smaller network to answer like a version: catdog compress --data photos", writes=True),
    "evaluate": Command("Measure a version on photos: catdog evaluate --data photos"),
    "check-data": Command("List what is wrong with photos: catdog check-data --data photos"),
    "import": Command("Copy photos into a data set of the service: catdog import photos --dataset pets"),
    "worker": Command("Run the trainings that the service queues: catdog worker", writes=True),
    "quantize": Command("Publish a version again, with an int8 graph: catdog quantize --data photos", writes=True),
    "summary": Command("Show the layers of a version's network: catdog summary"),
    "download": Command("Download 3,000 photos: catdog download data/cats-and-dogs"),
}


def add_to(program: typer.Typer) -> None:
    for name, command in COMMANDS.items():
        add = program.command(
            name, help=command.help, context_settings=dict(UNREAD), add_help_option=False, rich_help_panel="Training"
        )
        add(_delegated(name, command))


def _delegated(name: str, command: Command) -> Callable[[typer.Context], None]:
    def run(context: typer.Context) -> None:
        if command.writes and not {"--help", "-h"} & set(context.args) and _is_installed():
            local_model.fill()
        else:
            local_model.find()
        from training.__main__ import main

        sys.exit(main([name, *context.args], program="catdog"))

    return run


def _is_installed() -> bool:
    """Whether the trainer can run; if not, its command says what is missing, and nothing is copied for it."""
    from app.errors import TrainerMissing
    from app.retraining.worker_process import check_installed

    try:
        check_installed()
    except TrainerMissing:
        return False
    return True
