"""The tables of the database, as the newest revision in `catdog.migrations` has them.

Times are floats: seconds since 1970.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from catdog.names import LIMIT_CHARACTERS, LIMIT_DATASET_CHARACTERS, LIMIT_KEY_CHARACTERS
from catdog.splits import by_content

metadata = MetaData()

# Of this database, created once.
identity = Table("catdog_identity", metadata, Column("id", String(32), primary_key=True))

# Data sets that were created by name. A data set exists if it is listed here or has a picture.
datasets = Table(
    "datasets",
    metadata,
    Column("name", String(LIMIT_DATASET_CHARACTERS), primary_key=True),
    Column("created_at", Float, nullable=False),
)

pictures = Table(
    "pictures",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("dataset", String(64), nullable=False),
    Column("sha256", String(64), nullable=False, index=True),
    Column("label", String(LIMIT_CHARACTERS), nullable=False),
    Column("split", String(10), nullable=False),  # "" if the content decides
    Column("source", String(10), nullable=False),
    Column("name", Text, nullable=False),
    Column("added_at", Float, nullable=False),
    Column("drawn", String(10), default=lambda row: by_content(row.get_current_parameters()["sha256"])),  # split
    UniqueConstraint("dataset", "sha256", "label", "split"),
    Index("pictures_by_split", "dataset", "split", "drawn", "label"),  # a covering index for the counts
    Index("pictures_by_addition", "dataset", "id"),
    Index("pictures_by_time", "dataset", "added_at"),
    sqlite_autoincrement=True,  # otherwise SQLite gives the number of a deleted picture to the next one
)

# What was relabelled, moved or deleted together. It can be undone as long as it is listed here.
changes = Table(
    "changes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("dataset", String(LIMIT_DATASET_CHARACTERS), nullable=False),
    Column("kind", String(10), nullable=False),
    Column("target", String(LIMIT_CHARACTERS), nullable=False),  # the new class, split or data set, "" if deleted
    Column("pictures", Integer, nullable=False),
    Column("made_at", Float, nullable=False),
    Column("undone_at", Float),
    sqlite_autoincrement=True,
)

# The rows of `pictures` as they were before a change. Their files are kept until the change is forgotten.
former_pictures = Table(
    "former_pictures",
    metadata,
    Column("change", Integer, primary_key=True),
    Column("id", Integer, primary_key=True),  # in `pictures`
    Column("dataset", String(LIMIT_DATASET_CHARACTERS), nullable=False),
    Column("sha256", String(64), nullable=False, index=True),
    Column("label", String(LIMIT_CHARACTERS), nullable=False),
    Column("split", String(10), nullable=False),
    Column("source", String(10), nullable=False),
    Column("name", Text, nullable=False),
    Column("added_at", Float, nullable=False),
    Column("drawn", String(10)),
)

# Pictures whose objects are being removed from a bucket, or were: `catdog.datasets.picture_bucket`.
removals = Table(
    "removals",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sha256", String(64), nullable=False, index=True),
    Column("at", Float, nullable=False),
    Column("is_done", Boolean, nullable=False),
    sqlite_autoincrement=True,
)

# Small facts that the processes of a service share.
states = Table(
    "states",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", JSON, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("number", Integer, primary_key=True),  # in the order of submission
    Column("id", String(32), nullable=False, unique=True),
    Column("kind", String(10), nullable=False, server_default="training"),
    Column("status", String(10), nullable=False),
    Column("request", JSON, nullable=False),
    Column("trigger", Text, nullable=False, server_default="request"),
    Column("idempotency_key", String(255), unique=True),
    Column("attempts", Integer, nullable=False, default=0),
    Column("worker", String(64)),  # that holds the lease
    Column("lease_until", Float),
    Column("cancel_at", Float),  # when cancelling was requested
    Column("submitted_at", Float, nullable=False),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("progress", JSON, nullable=False),
    Column("findings", JSON),
    Column("decision", JSON),
    Column("version", Integer),
    Column("reason", Text),  # why it ended as it did
    Index("jobs_by_status", "status", "number"),
)

job_events = Table(
    "job_events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job", String(32), nullable=False),
    Column("at", Float, nullable=False),
    Column("kind", String(10), nullable=False),
    Column("data", JSON, nullable=False),
    Index("job_events_by_job", "job", "id"),
)

# Named keys for the service. A rotated one and its successor have the same name.
keys = Table(
    "keys",
    metadata,
    Column("id", String(8), primary_key=True),  # a part of the key that isn't secret
    Column("name", String(LIMIT_KEY_CHARACTERS), nullable=False),
    Column("role", String(10), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("used_at", Float),  # exact to a minute
    Column("revoked_at", Float),
    Column("requests_per_second", Float),  # null: the default of the settings
    Column("bytes_per_day", BigInteger),
)

# Who changed what. Entries are never changed.
audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("action", String(200), nullable=False),  # method and template of the address, or what else acted
    Column("key", String(LIMIT_KEY_CHARACTERS), nullable=False),  # its name, "" for none
    Column("key_id", String(8)),  # of a named key
    Column("address", String(64), nullable=False),  # of the client
    Column("request", String(36), nullable=False),  # its id
    Column("status", Integer),  # of the answer; null if no request was the cause
    Column("details", JSON, nullable=False),
    Index("audit_by_time", "at"),
    sqlite_autoincrement=True,  # otherwise SQLite gives the number of the newest entry again once all are deleted
)

# Events for webhooks: one row for each URL that an event is sent to.
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("event", String(40), nullable=False),  # its id, the same in the rows of all URLs
    Column("kind", String(32), nullable=False),
    Column("data", JSON, nullable=False),
    Column("happened_at", Float, nullable=False),
    Column("url", Text, nullable=False),
    Column("status", String(10), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("queued_at", Float, nullable=False),  # when it happened or was replayed
    Column("next_at", Float),  # when the next attempt may begin, if it waits for one
    Column("ended_at", Float),
    Column("problem", Text),  # of the last attempt
    Index("deliveries_by_turn", "status", "next_at"),
    sqlite_autoincrement=True,
)
