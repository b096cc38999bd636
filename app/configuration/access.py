"""Settings for who may use the service: keys, host names, origins."""

from pydantic import IPvAnyAddress, PositiveInt
from pydantic_settings import BaseSettings

from app.configuration.setting_types import Grants, Hosts, Key, NonNegative, Origins, Positive


class AccessSettings(BaseSettings):
    """A part of `app.settings.Settings`."""

    admin_key: Key | None = None
    """Key that may do everything; by default one is created in `admin.key` in the data folder."""

    predict_key: Key | None = None
    """Key that predictions and other reading endpoints require; by default none is required."""

    key_required: bool = False
    """Whether these endpoints require a key even without a predict key: the admin key or a named one. No by default."""

    allowed_hosts: Hosts = ()
    """Host names of the service, separated by commas, in addition to the default: IP addresses, localhost and this
    machine's name. `*.example.com` allows every name below example.com, `*` every name."""

    cors_origins: Origins = ()
    """Origins whose pages may use the service from a browser, separated by commas, such as https://app.example.com or
    `null`; by default only the service's own. `*` allows all but `null`."""

    proxy_address: IPvAnyAddress | None = None
    """Address of a proxy that signs users in, such as oauth2-proxy; by default there is none. Its headers
    X-Forwarded-Email, -User and -Groups say who sends a request; those of others are ignored."""

    proxy_roles: Grants = ()
    """Roles of users that this proxy has signed in, separated by commas: `admin=ann@example.com,label=a-group,
    predict=*@example.com`; by default they have none. The highest one counts."""

    audit_days: NonNegative = 365
    """Days for which entries of the audit log are kept; 365 by default, 0 keeps all."""

    key_requests_per_second: Positive | None = None
    """Requests a second that each named key may send, unless it has a limit of its own; by default no limit. Two
    seconds' worth are saved up."""

    key_bytes_per_day: PositiveInt | None = None
    """Bytes of request bodies in 24 hours that each named key may send, unless it has a limit of its own; by default no
    limit."""

    address_requests_per_second: Positive | None = None
    """Requests a second that each address may send without a named key; by default no limit. The admin key has none."""

    address_bytes_per_day: PositiveInt | None = None
    """Bytes of request bodies in 24 hours that each address may send without a named key; by default no limit."""

    @property
    def requires_key(self) -> bool:
        """Whether predictions and other reading endpoints require a key."""
        return self.key_required or self.predict_key is not None
