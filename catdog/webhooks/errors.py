"""Errors of webhooks; see `catdog.errors`.

WebhookError
├── NoWebhook              no URL is set
├── DeliveryNotFound       no such delivery
└── UrlNotSet              a delivery to a URL that isn't set any more
"""

from catdog.errors import CatdogError


class WebhookError(CatdogError):
    """A webhook can't do what was requested."""


class NoWebhook(WebhookError):
    """No URL is set."""

    def __init__(self) -> None:
        super().__init__("no webhook is set; CATDOG_WEBHOOK_URLS names the URLs that events are sent to")


class DeliveryNotFound(WebhookError):
    """No such delivery, or it was deleted."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"there is no delivery {number}; GET /webhooks lists the newest")


class UrlNotSet(WebhookError):
    """A delivery to a URL that isn't set any more."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"the URL of delivery {number} is no longer in CATDOG_WEBHOOK_URLS; add it to send it again")
