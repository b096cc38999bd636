"""The supervisor's program: `python -m app` with several processes becomes it."""

import sys

from app import shutdown


def main() -> int:
    """Supervise until all processes have ended; return the exit status."""
    from argparse import ArgumentParser
    from socket import socket

    from app.processes import folder
    from app.processes.supervisor import Supervisor
    from app.telemetry import logs

    parser = ArgumentParser("python -m app.processes", description="Started by python -m app.")
    parser.add_argument("--listener", type=int, required=True)
    parser.add_argument("--processes", type=int, required=True)
    parser.add_argument("--end-seconds", type=float, required=True)
    parser.add_argument("--log-format", required=True)
    given = parser.parse_args()
    logs.begin(given.log_format)
    with folder.shared() as shared:
        return Supervisor(socket(fileno=given.listener), given.processes, given.end_seconds, shared).run()


if __name__ == "__main__":
    shutdown.handle_signals(shutdown.exit_at_once)
    sys.exit(main())
