"""The receiver in the documentation works, and the events that it names are those that exist."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import time

import anyio
import pytest

from app.webhooks import posting
from app.webhooks.posting import Undelivered
from catdog.webhooks import message
from catdog.webhooks.deliveries import Delivery
from catdog.webhooks.message import Kind, Status
from tests.app.webhooks.receiver import ANOTHER, SECRET
from tests.places import ROOT
from tests.waiting import PATIENCE_SECONDS, until

PAGE = (ROOT / "docs" / "13-automation.md").read_text("utf-8")
PORT = "9000"  # in the page
DELIVERY = Delivery(1, "evt_1", Kind.TEST, {"of": "the test"}, 0, "", Status.WAITING, 1, 0, 0, None, None)


@contextmanager
def receiving(folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The receiver of the page, on a free port."""
    (source,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "receiver.py").write_text(source.replace(PORT, str(port)))
    environment = {**os.environ, "WEBHOOK_SECRET": SECRET}
    popen = subprocess.Popen(
        [sys.executable, "receiver.py"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    )
    try:
        until(lambda: is_open(port), every=0.05)
        yield f"http://127.0.0.1:{port}/catdog", popen
    finally:
        popen.kill()
        popen.communicate()


def is_open(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def send(url: str, secret: str, seconds_ago: float = 0, body: bytes | None = None) -> None:
    content = message.body(DELIVERY)
    headers = message.headers(DELIVERY, content, [message.key_of(secret)], time() - seconds_ago)
    anyio.run(posting.post, url, headers, body or content, PATIENCE_SECONDS, True)


def test_the_receiver_accepts_what_is_signed_and_recent_alone(tmp_path: Path) -> None:
    with receiving(tmp_path) as (url, popen):
        assert popen.stdout is not None
        send(url, SECRET)
        said = (
            '{"type":"webhook.test","id":"evt_1","timestamp":"1970-01-01T00:00:00.000+00:00","data":{"of":"the test"}}'
        )
        assert popen.stdout.readline() == f"{said}\n"

        for wrong in ((url, ANOTHER), (url, SECRET, 600), (url, SECRET, -600), (url, SECRET, 0, b"{}")):
            with pytest.raises(Undelivered, match="the answer was 401"):
                send(*wrong)
            assert popen.stdout.readline() == "refused\n"


def test_a_secret_can_be_changed_while_both_sign() -> None:
    keys = [message.key_of(ANOTHER), message.key_of(SECRET)]
    new, old = message.headers(DELIVERY, b"{}", keys, 5)["webhook-signature"].split(" ")

    assert old == message.signature(keys[1], "evt_1", "5", b"{}")
    assert new != old


def test_the_signature_is_that_of_the_specification() -> None:
    """The example of the reference libraries' tests."""
    key = message.key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'

    signed = message.signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body)

    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_every_kind_of_event_is_described() -> None:
    table = PAGE[PAGE.index("| type |") :]
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)

    assert {name for row in rows for name in re.findall(r"`([\w.]+)`", row)} == set(Kind)


@pytest.mark.parametrize(
    ("secret", "problem"),
    [("secret", "begin with whsec_"), ("whsec_%", "isn't base64"), ("whsec_AAAA", "this one has 3 bytes")],
)
def test_a_wrong_secret_says_what_is_wrong(secret: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        message.key_of(secret)
    assert message.key_of(message.new_secret())
