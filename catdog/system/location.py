"""Says where versions and pictures are: in a folder, or in a bucket."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

SCHEMES: Final = ("s3", "gs", "az")  # Amazon's, Google's, Microsoft's
CACHE: Final = "versions-of"  # in the data folder; the name goes on with a part of the URL's sha256


@dataclass(frozen=True)
class Remote:
    """A folder in a bucket, and the local one for the versions that this machine has used."""

    url: str
    cache: Path

    def __str__(self) -> str:
        return self.url


def parsed(value: str | Path) -> Path | str:
    """A setting: the path of a folder, or the URL of a folder in a bucket; ValueError says what to write instead."""
    if isinstance(value, Path) or "://" not in value:
        return Path(value)
    parts = urlsplit(value)
    if parts.scheme not in SCHEMES or not parts.netloc or parts.query or parts.fragment:
        raise ValueError(
            "write a folder, or a URL such as s3://BUCKET/models, gs://BUCKET/models or az://BUCKET/models (of pictures"
            " s3://BUCKET/pictures)"
        )
    return value.rstrip("/")


def absolute(setting: Path | str) -> str:
    """The setting for a process that may run in another folder."""
    return str(setting.absolute()) if isinstance(setting, Path) else setting


def located(models: Path | str, data_dir: Path) -> Path | Remote:
    """Where the store of a setting is; the cache of a bucket is in the data folder."""
    if isinstance(models, Path):
        return models
    return Remote(models, data_dir / f"{CACHE}-{sha256(models.encode()).hexdigest()[:12]}")
