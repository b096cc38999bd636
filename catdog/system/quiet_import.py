"""Hides remarks that a library's native code prints to stderr while it is imported."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from subprocess import PIPE, Popen
from typing import IO, Any, Final, cast

STDERR: Final = 2  # the file descriptor
# TensorFlow writes these before it reads TF_CPP_MIN_LOG_LEVEL: how it was built, and what that changes.
TENSORFLOW: Final = (
    "^(WARNING: All log messages before absl::InitializeLog|I0000 |To enable the following instructions: )"
)


def hide(module: str, lines: str) -> None:
    """Hide what the first import of a module prints to stderr, as far as it matches an extended regular expression."""
    sys.meta_path.insert(0, _QuietFinder(module, lines))


class _QuietFinder(MetaPathFinder):
    """Finds one module, once, and lets it be executed without the lines."""

    def __init__(self, module: str, lines: str) -> None:
        self._module = module
        self._lines = lines

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if fullname != self._module:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_quietly(module: Any) -> None:
                with _stderr_without(self._lines):
                    execute(module)

            spec.loader.exec_module = execute_quietly  # type: ignore[method-assign]
        return spec


@contextmanager
def _stderr_without(lines: str) -> Iterator[None]:
    """Send stderr through grep: another process still prints the last words of one that aborts."""
    try:
        grep = Popen(["grep", "-vE", lines], stdin=PIPE, stdout=STDERR)  # noqa: S603, S607  # wherever it is; our own pattern
    except OSError:  # no grep, or no process can be started: then everything is printed
        yield
        return
    sys.stderr.flush()
    stderr = os.dup(STDERR)
    os.dup2(cast("IO[bytes]", grep.stdin).fileno(), STDERR)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(stderr, STDERR)
        os.close(stderr)
        grep.communicate()
