"""Settings of webhooks: where events are sent, and how they are signed."""

from pydantic import Field
from pydantic_settings import BaseSettings

from app.configuration.setting_types import NonNegative, Positive, WebhookSecret, WebhookUrls


class WebhookSettings(BaseSettings):
    """A part of `app.settings.Settings`."""

    webhook_urls: WebhookUrls = Field(default=(), repr=False)
    """URLs that events are sent to, separated by commas; by default none."""

    webhook_secret: WebhookSecret | None = None
    """Secret that events are signed with, `whsec_` and 24 to 64 bytes in base64; by default one is created in
    `webhook.secret` in the data folder. Of several, separated by commas, each signs."""

    webhook_private: bool = False
    """Whether events may be sent to addresses that aren't public, such as 10.0.0.5 and 127.0.0.1; no by default."""

    webhook_seconds: Positive = 10
    """Seconds within which a receiver must answer; 10 by default."""

    webhook_hours: Positive = 72
    """Hours for which an event is sent again until it is accepted; 72 by default."""

    keep_deliveries_days: NonNegative = 30
    """Days after which an event that was delivered, or failed, is deleted; 30 by default."""
