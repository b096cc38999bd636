"""The command `catdog`: serves, predicts, classifies, trains and keeps versions."""

import gc
import sys


def main() -> None:
    """Run the command that was typed, and end the process with its exit status."""
    from app import shutdown

    if sys.argv[1:] == ["serve"]:
        shutdown.handle_signals(shutdown.exit_at_once)  # before the first slow import
        from command.local_model import serve  # without Typer, whose import would delay the first answer

        serve()
        return
    gc.disable()  # imports leave nothing to collect, and looking for it takes a tenth of a command's start
    from command.program import run

    gc.enable()
    sys.exit(run())


if __name__ == "__main__":
    main()
