"""Settings of trainings that start by themselves."""

from pydantic import PositiveInt
from pydantic_settings import BaseSettings

from app.setting_types import DatasetName, NonNegative, Positive, Schedule


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
