"""Settings of trainings that start by themselves, of trials, canaries, webhooks and Label Studio."""

from typing import Literal

from pydantic import Field, HttpUrl, PositiveInt, SecretStr
from pydantic_settings import BaseSettings

from app.configuration.setting_types import DatasetName, NonNegative, Positive, Schedule, WebhookSecret, WebhookUrls


class AutomationSettings(BaseSettings):
    """A part of `app.settings.Settings`."""

    retrain_after_labels: PositiveInt | None = None
    """Number of new labels after which a training starts by itself; by default none does."""

    retrain_on_drift_hours: Positive | None = None
    """Hours of drift after which a training starts by itself; by default none does."""

    retrain_schedule: Schedule | None = None
    """Times at which a training starts by itself if the data set has changed, as five fields of cron in the service's
    time zone, such as `0 3 * * *`; by default none does."""

    retrain_at_most_every: NonNegative = 1
    """Least number of hours between two trainings that start by themselves; 1 by default, 0 is no limit."""

    retrain_dataset: DatasetName | None = None
    """Data set of these trainings; by default the one that the version in service was trained on, else the only one."""

    retrain_promote: Literal["auto", "shadow", "never"] = "auto"
    """What these trainings do with a version that the promotion rule lets in: `auto` promotes it, which is the default,
    `shadow` runs it next to the champion first, `never` only publishes it."""

    shadow_photos: PositiveInt = 500
    """Number of live photos after which the trial of a version next to the champion ends; 500 by default."""

    shadow_hours: Positive = 24
    """Hours after which a trial ends with fewer photos; 24 by default."""

    shadow_agreement: float = Field(default=0.95, ge=0, le=1, allow_inf_nan=False)
    """Least share of the photos of a trial that both versions must give the same class, 0 to 1; 0.95 by default."""

    canary_photos: PositiveInt = 100
    """Photos of a canary, and of the champion in the same time, from which on its numbers are judged; 100 by
    default."""

    canary_errors: float = Field(default=0.01, ge=0, le=1, allow_inf_nan=False)
    """Rise of the share of failed photos beyond which a canary is rolled back, 0 to 1; 0.01 by default."""

    canary_unknown: float = Field(default=0.05, ge=0, le=1, allow_inf_nan=False)
    """Rise of the share of photos called unknown beyond which it is rolled back, 0 to 1; 0.05 by default."""

    canary_latency: Positive = 1.5
    """Mean time to an answer beyond which it is rolled back, as a multiple of the champion's; 1.5 by default."""

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

    label_studio_url: HttpUrl | None = None
    """Address of the Label Studio that this service prelabels for; by default there is none. Pictures are fetched from
    it alone."""

    label_studio_token: SecretStr | None = None
    """Access token for that Label Studio, personal or legacy; by default none is sent."""

    label_studio_dataset: DatasetName = "label-studio"
    """Data set of the pictures that are labelled there; `label-studio` by default."""
