import socket
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from app.settings import Settings
from app.web.connections import listen, warnings


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return socket.has_dualstack_ipv6()


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="needs IPv6")


@pytest.fixture
def opened(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, Settings]]:
    listener, settings = listen(Settings(host=request.param, port=0))
    with listener:
        yield listener, settings


@needs_ipv6
@pytest.mark.parametrize("opened", ["::"], indirect=True)
@pytest.mark.parametrize("client", ["127.0.0.1", "::1"])
def test_two_colons_listen_on_both_families(opened: tuple[socket.socket, Settings], client: str) -> None:
    port = opened[1].port

    with socket.create_connection((client, port), timeout=5):
        accepted, _ = opened[0].accept()
        accepted.close()

    assert opened[1].address == f"http://[::]:{port}"


@pytest.mark.parametrize("opened", ["localhost"], indirect=True)
def test_a_name_of_both_families_is_its_ipv4_address(opened: tuple[socket.socket, Settings]) -> None:
    assert opened[0].getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize("opened", ["0.0.0.0", pytest.param("::", marks=needs_ipv6)], indirect=True)  # noqa: S104
def test_a_service_that_others_reach_without_a_key_says_so(opened: tuple[socket.socket, Settings]) -> None:
    listener, settings = opened

    assert ["CATDOG_PREDICT_KEY isn't set" in warning for warning in warnings(settings, listener)] == [True]
    with_key = settings.model_copy(update={"predict_key": SecretStr("a key for predictions")})
    assert warnings(with_key, listener) == []


@pytest.mark.parametrize("opened", ["127.0.0.1", "127.0.0.2", pytest.param("::1", marks=needs_ipv6)], indirect=True)
def test_a_service_for_this_machine_alone_needs_no_warning(opened: tuple[socket.socket, Settings]) -> None:
    assert warnings(opened[1], opened[0]) == []
