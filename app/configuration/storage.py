"""Settings that say where versions, pictures, labels and jobs are stored."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings

from app.configuration.setting_types import FolderOrUrl
from catdog.system.location import Remote, located


class StorageSettings(BaseSettings):
    """A part of `app.settings.Settings`."""

    models_dir: FolderOrUrl = Path("models")
    """Folder of the model store; `models` by default. Or its URL in an object store, such as `s3://BUCKET/models`, with
    the packages of the extra `storage`."""

    data_dir: Path = Path("data")
    """Folder of pictures, jobs and features, and of the admin key; `data` by default."""

    pictures: FolderOrUrl | None = None
    """Where the pictures of data sets are stored; by default in the data folder. Another folder, or a URL in an object
    store, such as `s3://BUCKET/pictures`, with the packages of the extra `storage`."""

    database_url: str | None = Field(default=None, repr=False)
    """URL of the database of labels and jobs, in SQLAlchemy's form; by default SQLite in the data folder."""

    @property
    def models(self) -> Path | Remote:
        """Where the model store is; of an object store, with its cache in the data folder."""
        return located(self.models_dir, self.data_dir)
