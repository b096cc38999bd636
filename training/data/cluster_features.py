"""Computes features of photos on a Ray cluster, whose nodes need Ray and catdog but no data.

Photos are read where the training runs and travel through Ray's object store, like the network. A node that dies costs
only time: others repeat its parts.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from socket import gethostname
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from catdog import cluster, images
from catdog.cluster import ClusterError
from catdog.engines.engine import Asked, Precision
from catdog.engines.openvino import OpenVINOEngine, precision_of
from catdog.errors import ImageError
from catdog.features import THUMBNAIL_PIXELS, Entry, fingerprint
from catdog.network.architecture import Architecture, Arrays, Int8Graph, Network
from training.data.dataset import Photo, Report
from training.data.features import Computed, compute, compute_here

if TYPE_CHECKING:
    import pyarrow as pa
    import ray

PART: Final = 64  # photos of a task, which is what is repeated after a failure
FEW: Final = 256  # fewer photos take less time here than actors take to start
READERS: Final = 4  # tasks that read photos at a time
GRAPH: Final = "int8.xml"
AFTER: Final = "features that are done are kept for the next training"


class Shipped(NamedTuple):
    """A network as it travels; `int8` has the files of its int8 graph by their ending."""

    architecture: Architecture
    arrays: Arrays
    int8: Mapping[str, bytes]
    precision: Precision
    fingerprint: str

    @classmethod
    def of(cls, network: Network, asked: Asked) -> "Shipped":
        precision = precision_of(network, asked)
        int8 = network.int8 if precision == "int8" else None
        files = () if int8 is None else (int8.path, int8.path.with_suffix(".bin"))
        contents = {file.suffix: file.read_bytes() for file in files}
        return cls(network.architecture, network.arrays, contents, precision, fingerprint(network, precision))

    def network(self, folder: Path) -> Network:
        """The same network, with the files of its int8 graph in the folder."""
        for suffix, content in self.int8.items():
            (folder / GRAPH).with_suffix(suffix).write_bytes(content)
        return Network(self.architecture, self.arrays, Int8Graph.of(folder / GRAPH) if self.int8 else None)


class Computing:
    """Computes on the cluster at `address`, like `compute_here`; ClusterError."""

    def __init__(self, address: str) -> None:
        self._address = address

    def __call__(
        self, photos: Sequence[Photo], network: Network, precision: Asked, report: Report
    ) -> Iterator[Computed]:
        is_in_bucket = any(not isinstance(photo.path, Path) for photo in photos)  # its keys aren't sent to the cluster
        if len(photos) < FEW or is_in_bucket:
            yield from compute_here(photos, network, precision, report)
            return
        same = defaultdict(list)  # a data set may have a photo in two splits
        for photo in photos:
            same[photo.sha256].append(photo)
        shipped = Shipped.of(network, precision)
        with cluster.connected(self._address, AFTER):
            for rows in _found({digest: found[0] for digest, found in same.items()}, shipped):
                for row in rows:
                    for photo in same[row["sha256"]] if row["error"] is not None else ():
                        report(photo, ImageError(row["error"]))
                entries = {row["sha256"]: _entry(row) for row in rows if row["error"] is None}
                yield Computed(sum(len(same[row["sha256"]]) for row in rows), entries)


def _found(photos: Mapping[str, Photo], shipped: Shipped) -> Iterator[list[dict[str, Any]]]:
    """What actors found for the photos, by sha256: rows, part by part in any order."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    cores, actors = cluster.shape()
    parts = -(-len(photos) // PART)
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    items = [{"sha256": digest, "path": str(Path(str(photo.path)).absolute())} for digest, photo in photos.items()]
    found = (
        ray.data.from_items(items, override_num_blocks=parts)
        .map_batches(
            _read, batch_size=None, batch_format="pyarrow", num_cpus=0, concurrency=READERS, scheduling_strategy=here
        )
        .map_batches(
            Extractor, fn_constructor_args=(ray.put(shipped), cores), **cluster.actors(cores, min(actors, parts))
        )
    )
    for block in found.iter_batches(batch_size=None, batch_format="pyarrow"):
        yield block.to_pylist()


def _read(block: "pa.Table") -> "pa.Table":
    """The photos with their content instead of their path."""
    import pyarrow as pa

    contents = [Path(path).read_bytes() for path in block["path"].to_pylist()]
    return pa.table({"sha256": block["sha256"], "content": pa.array(contents, pa.binary())})


def _entry(row: Mapping[str, Any]) -> Entry:
    grey = np.frombuffer(row["thumbnail"], np.uint8).reshape(THUMBNAIL_PIXELS, -1)
    return Entry(np.frombuffer(row["row"], np.float32), grey)


class Extractor:
    """An actor: holds the engine on a node, and computes one block after the other."""

    def __init__(self, reference: "ray.ObjectRef", cores: int) -> None:
        import ray

        shipped: Shipped = ray.get(reference)
        with TemporaryDirectory() as folder:
            network = shipped.network(Path(folder))
            if fingerprint(network, shipped.precision) != shipped.fingerprint:
                raise ClusterError(
                    f"the node {gethostname()} computes other features, because its versions of OpenVINO, Pillow,"
                    " cykooz-resizer or catdog are others than where the training runs; install the same ones"
                )
            self._engine = OpenVINOEngine(network, shipped.precision, threads=cores)
        self._architecture = shipped.architecture
        self._threads = ThreadPoolExecutor(cores + 1)

    def __call__(self, block: "pa.Table") -> "pa.Table":
        import pyarrow as pa

        digests = block["sha256"].to_pylist()
        decoded = dict(zip(digests, self._threads.map(_decoded, block["content"].to_pylist()), strict=True))
        errors = {digest: one for digest, one in decoded.items() if isinstance(one, str)}
        pixels = {digest: one for digest, one in decoded.items() if not isinstance(one, str)}
        photos = [Photo(Path(), 0, digest, "") for digest in pixels]
        found = compute(self._engine, self._architecture, photos, np.stack(list(pixels.values()))) if photos else {}
        entries = [found.get(digest) for digest in digests]
        columns = {
            "sha256": pa.array(digests, pa.string()),
            "row": pa.array([entry and entry.row.tobytes() for entry in entries], pa.binary()),
            "thumbnail": pa.array([entry and entry.thumbnail.tobytes() for entry in entries], pa.binary()),
            "error": pa.array([errors.get(digest) for digest in digests], pa.string()),
        }
        return pa.table(columns)


def _decoded(content: bytes) -> NDArray[np.uint8] | str:
    """The pixels, uint8 RGB (224, 224, 3), or why there are none."""
    try:
        return images.decode(content)
    except ImageError as error:
        return str(error)
