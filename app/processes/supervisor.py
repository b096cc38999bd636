"""Supervises the processes of the service: starts them, restarts dead ones, and passes signals on."""

import logging
import os
import selectors
import shutil
import signal
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from time import monotonic, time
from types import FrameType
from typing import Final

from app.processes.assembly import WRONG_SETTINGS
from app.processes.member import NORMAL, Member
from catdog.system import durable

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 0.2
PING_SECONDS: Final = 5.0
HUNG_SECONDS: Final = 30.0  # without an answer, after which a process is killed
START_SECONDS: Final = 60.0  # for a process to replace another
AGAIN_SECONDS: Final = 1.0  # times the failed starts in a row, before the next one
MOST_FAILURES: Final = 3  # failed starts in a row that end the service
MOST_WHILE_SERVING: Final = 10  # the same, while other processes serve
MARGIN_SECONDS: Final = 15.0  # in addition to a process's own limits, before it is killed: its worker may need 10
PREFIX: Final = "catdog-processes-"  # of the name of their folder
HELD: Final = "held"  # a file in it that the supervisor locks
YOUNG_SECONDS: Final = 60.0  # it may not be locked yet
FAILED: Final = 1  # exit status
SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Supervisor:
    """Keeps one process at each of `processes` places.

    The first one starts alone: it reports wrong settings once, and compiles what the others then load. SIGTERM and
    Ctrl-C end all; SIGHUP replaces one after another, each once the next one accepts connections.
    """

    def __init__(self, listener: socket.socket, processes: int, end_seconds: float, folder: Path) -> None:
        self._listener = listener
        self._processes = processes
        self._end_seconds = end_seconds + MARGIN_SECONDS
        self._folder = folder
        self._members: list[Member] = []
        self._to_replace: deque[int] = deque()  # places
        self._next: Member | None = None  # starts to replace the one at its place
        self._has_served = False
        self._failures = 0  # starts in a row
        self._start_at = self._ping_at = 0.0  # not before, on the monotonic clock
        self._ends_at: float | None = None  # when the rest is killed, once the service ends
        self._status = NORMAL
        self._has_terminal = has_terminal()
        self._outlives_terminal = False
        self._signals: deque[int] = deque()
        self._selector = selectors.DefaultSelector()

    def run(self) -> int:
        """Supervise until all processes have ended; return the exit status."""
        woken, wakes = socket.socketpair()
        for end in (woken, wakes):
            end.setblocking(False)
        signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
        self._outlives_terminal = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # as `nohup` sets it
        for number in SIGNALS:
            signal.signal(number, self._note)
        self._selector.register(woken, selectors.EVENT_READ)
        while self._members or self._ends_at is None:
            self._step(monotonic())
            for key, _ in self._selector.select(LOOK_SECONDS):
                if isinstance(key.data, Member):
                    self._hear(key.data)
                else:
                    woken.recv(1024)
        return self._status

    def _hear(self, member: Member) -> None:
        if member.hear() and member is not self._next:
            self._has_served, self._failures = True, 0

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._signals.append(number)

    def _step(self, now: float) -> None:
        while self._signals:
            self._act_on(self._signals.popleft(), now)
        for member in [each for each in self._members if each.has_ended]:
            self._forget(member)
            self._after(member, now)
        if self._ends_at is None:
            self._look_after(now)
            self._start_missing(now)
            self._replace(now)
        elif now > self._ends_at:
            self._send(signal.SIGKILL)

    def _act_on(self, number: int, now: float) -> None:
        if number != signal.SIGHUP:
            self._end(now, number)
        elif self._has_terminal and not has_terminal():  # it was closed, which sends the same signal
            self._has_terminal = False
            if not self._outlives_terminal:
                self._end(now)
        elif self._ends_at is None:
            logger.info("SIGHUP: the processes are restarted one after another")
            self._to_replace = deque(range(self._processes))

    def _end(self, now: float, number: int = signal.SIGTERM, status: int = NORMAL) -> None:
        """End the service by this signal; a second one is passed on too, as it may ask to end at once."""
        if self._ends_at is None:
            self._ends_at, self._status = now + self._end_seconds, status
            self._listener.close()  # the processes have it open, and close it when they no longer accept
        self._send(number)

    def _send(self, number: int) -> None:
        for member in self._members:
            member.send(number)

    def _start(self, place: int) -> Member:
        taken = {member.number for member in self._members}
        number = next(each for each in range(len(taken) + 1) if each not in taken)
        member = Member(place, number, self._processes, self._listener, self._folder)
        self._members.append(member)
        self._selector.register(member.channel, selectors.EVENT_READ, member)
        return member

    def _forget(self, member: Member) -> None:
        self._members.remove(member)
        with suppress(KeyError):
            self._selector.unregister(member.channel)
        member.close()

    def _after(self, member: Member, now: float) -> None:
        """Decide what the end of a process means."""
        if self._ends_at is not None or member.retired_at is not None:
            return
        if member is self._next:
            self._give_up_replacing(f"the new one ended with {member.end}")
        elif member.has_started:
            logger.error("process %d ended with %s; another one starts", member.pid, member.end)
        elif member.status == WRONG_SETTINGS and not self._has_served:
            self._end(now, status=WRONG_SETTINGS)  # it has said what is wrong
        else:
            self._count_failure(member, now)

    def _count_failure(self, member: Member, now: float) -> None:
        """Try again later after a start that failed; end the service after several in a row."""
        self._failures += 1
        self._start_at = now + self._failures * AGAIN_SECONDS
        serves = any(map(_serves, self._members))
        if self._failures < (MOST_WHILE_SERVING if serves else MOST_FAILURES):
            logger.error("process %d ended with %s before it could serve; it is tried again", member.pid, member.end)
            return
        message = "%d processes in a row ended before they could serve, the last one with %s; the service ends"
        logger.error(message, self._failures, member.end)
        self._end(now, status=FAILED)

    def _look_after(self, now: float) -> None:
        """Kill processes that hang."""
        pings = now >= self._ping_at
        self._ping_at = now + PING_SECONDS if pings else self._ping_at
        for member in self._members:
            if pings:
                member.ping()
            if now - member.heard > HUNG_SECONDS + PING_SECONDS:
                logger.error("process %d hasn't answered for %.0f seconds and is killed", member.pid, HUNG_SECONDS)
                member.send(signal.SIGKILL)
            if member.retired_at is not None and now > member.retired_at + self._end_seconds:
                member.send(signal.SIGKILL)

    def _start_missing(self, now: float) -> None:
        if now < self._start_at:
            return
        there = {member.place for member in self._members if member.retired_at is None}
        for place in range(self._processes if self._has_served else 1):
            if place not in there:
                self._start(place)

    def _replace(self, now: float) -> None:
        """Take the next step of replacing one process after another."""
        if self._next is not None:
            if self._next.has_started:
                old = [each for each in self._members if each.place == self._next.place and each is not self._next]
                self._next = None
                for member in old:
                    member.retire()
            elif now > self._next.began + START_SECONDS:
                self._next.send(signal.SIGKILL)
                self._next.retired_at = now
                self._give_up_replacing(f"the new one accepted no requests within {START_SECONDS:.0f} seconds")
        elif self._to_replace and len(self._members) == self._processes and all(map(_serves, self._members)):
            self._next = self._start(self._to_replace.popleft())

    def _give_up_replacing(self, reason: str) -> None:
        logger.error("the restart is given up, and the processes that serve go on: %s", reason)
        self._next = None
        self._to_replace.clear()


def has_terminal() -> bool:
    """Whether this process belongs to a terminal that is open."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _serves(member: Member) -> bool:
    return member.has_started and member.retired_at is None


@contextmanager
def shared_folder() -> Iterator[Path]:
    """A new folder for the sockets, locks and counts of the processes, of this user alone, removed at the end.

    Those of killed services are removed first.
    """
    for left in Path(gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            if (left / HELD).exists() and time() - left.stat().st_mtime > YOUNG_SECONDS:
                _remove_abandoned(left)
    with TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as name, durable.locked(Path(name) / HELD):
        yield Path(name)


def _remove_abandoned(folder: Path) -> None:
    with durable.locked(folder / HELD, wait=False):
        shutil.rmtree(folder, ignore_errors=True)
