"""One request to a receiver: what counts as delivered, and what is refused."""

import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import anyio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.webhooks import addresses, posting
from app.webhooks.posting import Undelivered
from tests.app.webhooks.receiver import Receiver, answering
from tests.waiting import PATIENCE_SECONDS

HEADERS = {"webhook-id": "evt_1", "webhook-timestamp": "0", "webhook-signature": "v1,"}


def send(url: str, seconds: float = PATIENCE_SECONDS, allows_private: bool = True) -> None:
    anyio.run(posting.post, url, HEADERS, b"{}", seconds, allows_private)


def refusal(url: str, seconds: float = PATIENCE_SECONDS, allows_private: bool = True) -> str:
    with pytest.raises(Undelivered) as caught:
        send(url, seconds, allows_private)
    return str(caught.value)


@pytest.fixture(scope="module")
def listening() -> Iterator[Receiver]:
    with Receiver().listening() as receiver:
        yield receiver


@pytest.fixture
def receiver(listening: Receiver) -> Receiver:
    listening.requests.clear()
    listening.answer = answering(200)
    return listening


def test_any_status_of_success_is_a_delivery_and_the_whole_url_is_asked(receiver: Receiver) -> None:
    for status in (200, 202, 204):
        receiver.answer = answering(status)
        send(receiver.url)

    assert [request.path for request in receiver.requests] == ["/hooks?of=catdog"] * 3


@pytest.mark.parametrize("status", [400, 404, 410, 500, 503])
def test_any_other_status_is_none(receiver: Receiver, status: int) -> None:
    receiver.answer = answering(status)

    assert refusal(receiver.url) == f"the answer was {status}"


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.answer = answering(307, Location=receiver.url)

    assert refusal(receiver.url).startswith("the answer was 307; redirects aren't followed")
    assert len(receiver.requests) == 1


def test_a_pause_that_the_receiver_asks_for_is_noted(receiver: Receiver) -> None:
    for asked, seconds in (("120", 120.0), ("soon", 0.0), ("-1", 0.0)):
        receiver.answer = answering(503, Retry_After=asked)
        with pytest.raises(Undelivered) as caught:
            send(receiver.url)
        assert caught.value.retry_after_seconds == seconds


def test_a_private_address_is_refused_before_anything_is_connected(receiver: Receiver) -> None:
    named = receiver.url.replace("127.0.0.1", "localhost")

    for url in (receiver.url, named):
        assert "isn't public; CATDOG_WEBHOOK_PRIVATE=true allows such ones" in refusal(url, allows_private=False)
    assert receiver.requests == []


def test_the_checked_address_is_the_one_that_is_connected_to(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that answers the second question with another address gets nothing by it."""
    answers = iter(["127.0.0.1", "192.0.2.1"])

    def rebinding(host: str, port: int, **options: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)

    send(receiver.url.replace("127.0.0.1", "rebinding.test"))

    assert len(receiver.requests) == 1
    assert next(answers) == "192.0.2.1", "the name was resolved twice"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07::1", True),
        ("127.0.0.1", False),
        ("0.0.0.0", False),  # noqa: S104
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),  # metadata of clouds
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("2002:a00:1::1", False),  # 6to4 of 10.0.0.1
        ("64:ff9b::a9fe:a9fe", False),  # NAT64 of 169.254.169.254
        ("64:ff9b::5db8:d70e", True),
    ],
)
def test_which_addresses_are_public(address: str, expected: bool) -> None:
    assert addresses.is_public(address) == expected


@contextmanager
def speaking(*parts: bytes, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """The address of a server that sends these bytes to its one client, and nothing more while that stays."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with (
                suppress(OSError),
                context.wrap_socket(connection, server_side=True) if context else connection as stream,
            ):
                for part in parts:  # until the client goes
                    stream.sendall(part)
                while stream.recv(4096):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def test_a_receiver_without_an_answer_costs_the_time_limit_and_no_more() -> None:
    with speaking() as address:
        began = monotonic()

        assert refusal(f"http://{address}/", seconds=0.2) == "there was no answer within 0.2 seconds"
        assert monotonic() - began < 5


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ((b"HTTP/1.1 200 OK\r\nX: ", *(b"x" * 65536,) * 100), "the answer isn't HTTP: "),
        ((b"HTTP/1.1 100 Continue\r\n\r\n" * 5, b"HTTP/1.1 500 No\r\n\r\n"), "the answer was 500"),
        ((b"SSH-2.0-OpenSSH_9.2\r\n\r\n",), "the answer isn't HTTP: "),
    ],
)
def test_an_answer_without_end_or_in_another_protocol_is_none(parts: tuple[bytes, ...], problem: str) -> None:
    with speaking(*parts) as address:
        assert refusal(f"http://{address}/").startswith(problem)


def test_a_receiver_that_is_down_or_unknown_is_named_with_the_reason() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"

    assert refusal(f"http://{address}/") == "the connection failed: Connection refused"
    assert refusal("http://nobody.invalid/").startswith("the address of nobody.invalid can't be found: ")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 with its key, signed by itself."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    form, pem = serialization.PrivateFormat.PKCS8, serialization.Encoding.PEM
    file = tmp_path / "certificate.pem"
    file.write_bytes(made.public_bytes(pem) + key.private_bytes(pem, form, serialization.NoEncryption()))
    return file


@pytest.fixture
def fresh_tls() -> Iterator[Callable[[], None]]:
    posting._tls.cache_clear()
    yield posting._tls.cache_clear
    posting._tls.cache_clear()


def test_a_certificate_is_checked(
    certificate: Path, fresh_tls: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    ok = b"HTTP/1.1 200 OK\r\n\r\n"

    with speaking(ok, context=context) as address:
        assert "certificate verify failed" in refusal(f"https://{address}/")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    fresh_tls()
    with speaking(ok, context=context) as address:
        send(f"https://{address}/")
