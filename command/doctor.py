"""`catdog doctor`: which settings, engine and model would be used here, and why."""

import json as encoding
import sys

import typer

from command import model_folder
from command.options import Json


def doctor(json: Json = False) -> None:
    """Check the setup: print which settings, engine and model would be used here, and why."""
    from app import diagnostics
    from app.settings import read_settings

    model_folder.find()
    if not json:
        sys.exit(diagnostics.main(read_settings()))
    findings = [finding._asdict() for finding in diagnostics.examine(read_settings())]
    for finding in findings:
        typer.echo(encoding.dumps(finding))
    sys.exit(0 if all(finding["is_well"] for finding in findings) else 1)
