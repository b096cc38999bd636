"""`catdog classify --ray`: the same on a Ray cluster. Ray Data schedules and retries.

Decision 24 has the reasons. Every node needs catdog, and the photos and the result at the same paths.
"""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pyarrow as pa
import ray
from pyarrow import dataset
from ray.data import DataContext, Datasource, ReadTask
from ray.data.block import BlockMetadata
from ray.data.checkpoint import CheckpointConfig

from app.classification import pipeline
from app.classification.journal import JournalOfOthers
from app.classification.photos import Photo
from app.classification.results import PARQUET, Table, record_batch
from app.serving import os_tuning
from catdog import cluster
from catdog.cluster import ClusterError
from catdog.datasets.layout import printable
from catdog.system import durable
from catdog.versions.store import Store
from catdog.versions.version import Version
from command import local_model
from command.classify.sources import listed

PART: Final = 256  # photos of a task, which is what is repeated after a failure; and rows of a file of the result
BEGUN, DONE = "begun.json", "rows"  # in the journal
ANSWERS: Final = {"engine", "precision", "unknown_keep"}  # settings that change answers: nodes have the driver's
Answers = dict[str, Any]  # their values
KINDS: Final = {PARQUET: "parquet", ".csv": "csv"}


def check(to: Path, address: str) -> None:
    """Raise ClusterError for another kind of result, without Ray or a token, or if nothing is at the address."""
    if to.suffix.lower() not in KINDS:
        raise ClusterError(f"{to}: --ray writes a folder of {' or '.join(KINDS)} files; end its name so")
    cluster.check_usable()
    cluster.check_there(address)


def classify(address: str, photos: Iterable[Photo], to: Path, journal: Path, table: Table) -> tuple[int, int, int]:
    """Classify the photos on the cluster at `address`, into the folder `to`; of `table` threshold and top are used.

    Returns the number of rows, of those with an error, and the version. What is done is in the folder `journal`, with
    which the same call continues. ClusterError, StoreError, JournalOfOthers.
    """
    settings = local_model.settings()
    version, table = _begun(journal, Store(settings.models), table, settings.model_dump(include=ANSWERS))
    if not (inputs := _inputs(photos)):
        raise ClusterError("there is no photo in the sources")
    with cluster.connected(address, "the same command continues"):
        _run(version, settings.model_dump(include=ANSWERS), inputs, to, journal, table)
    written = dataset.dataset(to, pa.schema([("probability", pa.float64())]), format=KINDS[to.suffix.lower()])
    rows, errors = written.count_rows(), written.count_rows(filter=dataset.field("probability").is_null())
    if rows != len(inputs):
        raise ClusterError(
            f"{to} has {rows:,} rows for {len(inputs):,} photos; remove it and {journal}, and start again"
        )
    return rows, errors, version.number


def _begun(journal: Path, store: Store, table: Table, answers: Answers) -> tuple[Version, Table]:
    """The version that began the journal, in a new one the champion, and the table of its classes."""
    file = journal / BEGUN
    facts = json.loads(file.read_text()) if file.exists() else None
    version = store.open(store.champion() if facts is None else facts["version"])
    manifest = sha256(version.manifest.to_json().encode()).hexdigest()
    mine = {"version": version.number, "manifest": manifest, **answers, "threshold": table.threshold, "top": table.top}
    if facts is None:
        journal.mkdir(exist_ok=True)
        durable.replace_text(file, json.dumps(mine))
    elif facts != mine:
        raise JournalOfOthers(f"{journal} was begun with {json.dumps(facts)}, now {json.dumps(mine)}; remove it")
    return version, table._replace(classes=version.manifest.classes, version=version.number)


def _inputs(photos: Iterable[Photo]) -> dict[str, bytes]:
    """The path of each photo in the result, and the path by which nodes read it; each once."""
    found = {}
    for photo in photos:
        if photo.file is None and not photo.is_remote:
            raise ClusterError(f"{photo.path} is in an archive, or can't be read; --ray takes files and object stores")
        found[printable(photo.path)] = os.fsencode(photo.path if photo.file is None else photo.file.absolute())
    return found


def _run(version: Version, answers: Answers, inputs: dict[str, bytes], to: Path, journal: Path, table: Table) -> None:
    """Read, classify and write on all nodes, at first with an actor on each.

    Few tasks read and write at a time: as they need no core, Ray would begin all at once, each in a new process, which
    takes two seconds of a core to start.
    """
    cores, actors = cluster.shape()
    DataContext.get_current().checkpoint_config = CheckpointConfig("path", str(journal.absolute() / DONE))
    files = (file for file in version.path.rglob("*") if file.is_file())
    # Kept until the end, for actors that are started again.
    shipped = ray.put({str(file.relative_to(version.path)): file.read_bytes() for file in files})
    rows = ray.data.read_datasource(
        _Inputs(inputs), override_num_blocks=-(-len(inputs) // PART), num_cpus=0, concurrency=1
    ).map_batches(
        Classifier,
        fn_constructor_args=(shipped, answers, table, cores),
        **cluster.actors(cores, actors),
    )
    write = getattr(rows, f"write_{KINDS[to.suffix.lower()]}")
    write(str(to.absolute()), ray_remote_args={"num_cpus": 0}, concurrency=actors)


class _Inputs(Datasource):  # type: ignore[misc]
    """The photos as a table of `path` and `file`, PART of them a block."""

    def __init__(self, inputs: dict[str, bytes]) -> None:
        super().__init__()
        self._inputs = inputs

    def estimate_inmemory_data_size(self) -> int:
        return sum(map(len, self._inputs.values())) * 2

    def get_read_tasks(self, parallelism: int, **_: Any) -> list[ReadTask]:
        items = iter(self._inputs.items())
        return [
            ReadTask(partial(_block, part), BlockMetadata(len(part), None, None, None))
            for part in iter(lambda: list(islice(items, PART)), [])
        ]


def _block(part: Sequence[tuple[str, bytes]]) -> Iterator[pa.Table]:
    paths, files = zip(*part, strict=True)
    yield pa.table({"path": pa.array(paths, pa.string()), "file": pa.array(files, pa.binary())})


class Classifier:
    """An actor: holds the engine on a node, and classifies one block after the other."""

    def __init__(self, files: ray.ObjectRef, answers: Answers, table: Table, cores: int) -> None:
        os_tuning.limit_arenas()
        os_tuning.keep_memory()
        self._table = table
        self._settings = local_model.settings().model_copy(update={**answers, "threads": cores, "decoders": cores + 1})
        with TemporaryDirectory() as store:
            for name, content in ray.get(files).items():
                file = Path(store, str(table.version), name)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            here = {"models_dir": Path(store)}
            self._model = local_model.loaded(self._settings.model_copy(update=here), table.version)

    def __call__(self, block: pa.Table) -> pa.Table:
        items = zip(*block.to_pydict().values(), strict=True)
        photos = (listed(os.fsdecode(file))._replace(path=path) for path, file in items)
        rows = pipeline.classify(photos, self._model, self._settings)
        return pa.Table.from_batches([record_batch(rows, self._table)])
