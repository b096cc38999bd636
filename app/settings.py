"""All settings of the service, read from the environment or a `.env` file."""

from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from pydantic import (
    AliasChoices,
    Field,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from app import environment
from app.configuration.access import AccessSettings
from app.configuration.automation import AutomationSettings
from app.configuration.setting_types import ListeningAddress, NonNegative, Positive, Processes
from app.configuration.storage import StorageSettings
from app.configuration.training import TrainingSettings
from app.environment import ENV_FILE, PREFIX
from catdog import faults
from catdog.engines.engine import Asked
from catdog.versions.ood import KEEP, LEAST_KEEP

OF_COMPOSE = (  # what the compose files read from the same `.env`
    "CATDOG_ADMIN_KEY_FILE",
    "CATDOG_API_CPUS",
    "CATDOG_API_MEMORY",
    "CATDOG_PACKAGES",
    "CATDOG_PUBLISH",
    "CATDOG_TRAINER_CPUS",
    "CATDOG_TRAINER_MEMORY",
)
SECRETS = Path("/run/secrets")  # where containers mount them, each in a file named like its variable
SECRET = (
    "admin_key",
    "predict_key",
    "database_url",
    "webhook_urls",
    "webhook_secret",
    "label_studio_token",
)  # their values are never printed
MIB = 2**20
GIB = 2**30


class SettingsError(Exception):
    """Settings that the service can't start with; the message names each one and what is wrong with it."""


class Settings(AccessSettings, AutomationSettings, StorageSettings, TrainingSettings):
    """How the service runs. The field `port` is set by the variable CATDOG_PORT, and so on."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        secrets_dir=SECRETS if SECRETS.is_dir() else None,
        env_ignore_empty=True,
        extra="ignore",  # a `.env` may be shared; `read_settings` refuses unknown names with our prefix
        frozen=True,
        populate_by_name=True,
    )

    host: ListeningAddress = Field(default="127.0.0.1", validation_alias=AliasChoices("CATDOG_HOST", "HOST"))
    """Address or name to listen on; 127.0.0.1 by default, which only this machine can reach. `0.0.0.0` is every IPv4
    address of the machine, `::` every IPv4 and IPv6 address. HOST works too if it holds an address."""

    port: int = Field(default=8000, ge=0, le=65535, validation_alias=AliasChoices("CATDOG_PORT", "PORT"))
    """Port to listen on; 8000 by default, 0 uses any free one. PORT works too."""

    processes: Processes = 1
    """Processes that serve on the port, each with its share of the cores and of the limits; 1 by default, which has all
    of them. `auto` is one for each four cores."""

    engine: Literal["openvino", "keras", "auto"] = "openvino"
    """What runs the network; `openvino` by default, for processors. `keras` is for a GPU, which infers many photos at
    once; `auto` uses it if a GPU is found."""

    precision: Asked = "auto"
    """Numeric type that the network computes in; `auto` by default: int8 if the version was found to lose nothing by
    it, else bf16 if the processor supports it, else f32."""

    threads: PositiveInt | None = None
    """Threads for inference; by default one for each core that the process may use."""

    streams: PositiveInt | None = None
    """Photos inferred at a time when several wait; by default as many as OpenVINO finds best. A single photo always
    uses all threads."""

    decoders: PositiveInt | None = None
    """Photos decoded at a time; by default one for each core that the process may use, at most 16. Costly ones have
    separate threads, one fewer."""

    decoding_bytes: PositiveInt | None = None
    """Memory for decoding photos, in bytes; by default a quarter of what the process may use. A photo that needs more
    is decoded while no other large one is."""

    queue_items: PositiveInt = 64
    """Limit of photos that wait for an answer; 64 by default, more are answered 503."""

    deadline_seconds: Positive = 10
    """Seconds after which a photo without an answer is dropped; 10 by default."""

    max_batch_size: PositiveInt = 64
    """Limit of photos that a GPU infers together; 64 by default."""

    max_delay_milliseconds: float = Field(default=2, ge=0, le=1000)
    """Milliseconds that a batch that isn't full waits for photos that are being decoded; 2 by default."""

    cache_items: NonNegativeInt = 0
    """Number of answers to cache, for photos that are sent again; 0 by default, no cache."""

    unknown_keep: float = Field(default=KEEP, ge=LEAST_KEEP, le=1, allow_inf_nan=False)
    """Share of the photos of a version's classes that stay known, 0.5 to 1; 0.95 by default. The lower it is, the
    more of the other photos are `unknown`; with 1 none is. A request may ask for another share."""

    max_connections: PositiveInt | None = None
    """Limit of connections; by default 1,000, or fewer if the system allows few open files. Beyond it, the one that has
    waited longest for its client is closed."""

    max_connections_per_address: PositiveInt | None = None
    """Limit of connections from one address; by default none, because behind a proxy all clients share one."""

    head_seconds: Positive = 20
    """Seconds within which the head of a request must arrive; 20 by default."""

    max_uploads: PositiveInt = 256
    """Limit of requests whose bodies are received at a time; 256 by default. Beyond it, the one that stalls most
    gets 503."""

    min_upload_bytes_per_second: PositiveInt = 500
    """Slowest upload, in bytes a second after the first 20 seconds; 500 by default."""

    max_upload_bytes: PositiveInt = 10 * MIB
    """Largest photo in bytes; 10 MiB by default."""

    max_batch_bytes: PositiveInt = 64 * MIB
    """Largest body of one batch in bytes; 64 MiB by default."""

    max_bodies_bytes: PositiveInt | None = None
    """Limit of request bodies in memory, in bytes; by default a quarter of the memory that the process may use. Beyond
    it, stalled uploads are cut off to make room for others."""

    max_batch_files: PositiveInt = 64
    """Limit of photos in one batch; 64 by default."""

    max_archive_bytes: PositiveInt = GIB
    """Largest ZIP of pictures in bytes; 1 GiB by default."""

    upload_seconds: PositiveInt = 60
    """Seconds that an upload may take; 60 by default."""

    archive_seconds: PositiveInt = 600
    """Seconds that the upload of a ZIP may take; 600 by default."""

    keep_uploads: NonNegativeInt = 1000
    """Number of predicted photos to keep for feedback; 1000 by default, 0 keeps none."""

    keep_uploads_bytes: PositiveInt = GIB
    """Limit of the photos kept for feedback, in bytes; 1 GiB by default."""

    keep_uploads_days: Positive | None = None
    """Days after which a photo kept for feedback is deleted; by default none is because of its age."""

    keep_versions: PositiveInt = 5
    """Number of newest versions to keep, besides the last three champions and the shipped one; 5 by default."""

    keep_jobs_days: Positive = 90
    """Days after which an ended job is deleted, with its events and log, or its result; 90 by default."""

    keep_deleted_days: NonNegative = 7
    """Days for which a change to the pictures of a data set can be undone; 7 by default, 0 keeps none. Pictures that
    were deleted stay on the disk for as long."""

    keep_alive_seconds: PositiveInt = 75
    """Seconds that an idle connection stays open for the next request; 75 by default, longer than the 60 of load
    balancers, so that none sends a request on a connection that is being closed."""

    leave_seconds: NonNegative = 1
    """Seconds that the service keeps answering after the signal to end, while it reports that it isn't ready; 1 by
    default, so that a load balancer can send requests elsewhere."""

    drain_seconds: PositiveInt = 10
    """Seconds that accepted requests get to finish after that; 10 by default."""

    log_format: Literal["auto", "text", "json"] = "auto"
    """Format of the log: `text`, `json`, or by default `auto`: text on a terminal, else JSON."""

    log_slow_seconds: NonNegative = 1
    """Seconds of processing beyond which a request is logged, like one that fails; 1 by default, 0 logs every one."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Leave out the variables that only look like settings."""
        for source in (env_settings, dotenv_settings):
            if isinstance(source, EnvSettingsSource):
                source.env_vars = environment.without_others(source.env_vars)
        return init_settings, env_settings, dotenv_settings, file_secret_settings

    @field_validator("precision")
    @classmethod
    def _check_precision(cls, value: Asked, info: ValidationInfo) -> Asked:
        if value == "int8" and info.data.get("engine") == "keras":
            raise PydanticCustomError("engine", "CATDOG_ENGINE=keras has no int8; choose auto, bf16 or f32")
        return value

    @field_validator("max_bodies_bytes")
    @classmethod
    def _check_bodies(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and value < info.data.get("max_batch_bytes", 0) + MIB:
            raise PydanticCustomError("bodies", "it must exceed CATDOG_MAX_BATCH_BYTES by 1 MiB or more")
        return value

    @property
    def address(self) -> str:
        """URL of the service."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


def read_settings() -> Settings:
    """Read the environment, `.env` and SECRETS, in this order of precedence; SettingsError names every fault."""
    try:
        variables_given = environment.without_others(environment.given())
        problems = [_unknown(name) for name in sorted(variables_given) if name.startswith(PREFIX) and not _known(name)]
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the file {ENV_FILE} can't be read: {error}") from error
    try:
        settings = Settings()
    except ValidationError as error:
        problems += map(_wrong, error.errors())
    if problems:
        raise SettingsError("\n  ".join(["the settings are wrong:", *problems]))
    return settings


def variables() -> tuple[str, ...]:
    """Name of every setting's variable, in the order of the fields."""
    return tuple(variable(name) for name in Settings.model_fields)


def variable(place: str | int) -> str:
    """The variable of a field, or of the alias that pydantic names instead of it."""
    name = str(place)
    return f"{PREFIX}{name.upper()}" if name in Settings.model_fields else name


def _known(name: str) -> bool:
    return name in (*variables(), *OF_COMPOSE)


def _wrong(error: ErrorDetails) -> str:
    """What is wrong with a setting, without the value of one that is a secret."""
    place = str(error["loc"][0])
    value = "" if place in SECRET else f"={error['input']}"
    return f"{environment.bare_or(variable(place))}{value}: {error['msg'].removeprefix(faults.OF_VALIDATORS)}"


def _unknown(name: str) -> str:
    close = get_close_matches(name, variables(), n=1)
    return f"{name}: there is no such setting" + (f"; did you mean {close[0]}?" if close else "")
