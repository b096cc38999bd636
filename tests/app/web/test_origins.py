import pytest

from app.configuration import setting_types


@pytest.mark.parametrize(
    ("written", "compared"),
    [
        ("app.example.com", "app.example.com"),
        ("App.Example.com.", "app.example.com"),
        ("*.example.com", "*.example.com"),
        ("*", "*"),
        ("localhost", "localhost"),
        ("my_service", "my_service"),
        ("10.0.0.1", "10.0.0.1"),
        ("::1", "::1"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ],
)
def test_a_host_is_a_name_an_address_or_all_below_a_name(written: str, compared: str) -> None:
    assert setting_types.host(written) == compared


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("https://app.example.com", "app.example.com"),
        ("app.example.com:8000", "app.example.com"),
        ("app.example.com/", "app.example.com"),
        ("https://app.example.com:8000/path?x=1", "app.example.com"),
        (".example.com", "*.example.com"),
        ("https://*.example.com", "*.example.com"),
        ("[::1]", "::1"),
        ("[::1]:8000", "::1"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("app.example.com other.example", "a name such as"),
        ("app.*.com", "a name such as"),
        ("**.example.com", "a name such as"),
        ("-app.example.com", "a name such as"),
        ("http://", "a name such as"),
        ("user@app.example.com", "a name such as"),
        ("[x]", "a name such as"),
        ("app..example.com", "a name such as"),
    ],
)
def test_a_host_that_can_never_match_is_refused_with_what_to_write(written: str, instead: str) -> None:
    with pytest.raises(ValueError, match="can never match") as caught:
        setting_types.host(written)

    assert f"write {instead}" in str(caught.value)


@pytest.mark.parametrize(
    ("written", "compared"),
    [
        ("https://App.example.com", "https://app.example.com"),
        ("https://app.example.com:443", "https://app.example.com"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("null", "null"),
        ("*", "*"),
    ],
)
def test_an_origin_is_written_as_browsers_send_it(written: str, compared: str) -> None:
    assert setting_types.origin(written) == compared


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("app.example.com", "such as https://app.example.com"),
        ("app.example.com:3000", "such as https://app.example.com"),
        ("https://app.example.com/", "write https://app.example.com"),
        ("https://app.example.com:8443/path", "write https://app.example.com:8443"),
        ("https://*.example.com", "such as https://app.example.com"),
        ("https://", "such as https://app.example.com"),
        ("https://a b", "such as https://app.example.com"),
        ("https://user@app.example.com", "such as https://app.example.com"),
        ("https://app.example.com:port", "such as https://app.example.com"),
        ("Null", "such as https://"),
    ],
)
def test_an_origin_that_can_never_match_is_refused_with_what_to_write(written: str, instead: str) -> None:
    with pytest.raises(ValueError, match=r"is not an origin|can never match") as caught:
        setting_types.origin(written)

    assert instead in str(caught.value)
