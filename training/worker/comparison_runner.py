"""Runs one comparison of two versions on the same photos of a data set."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from catdog.datasets.datasets import Datasets
from catdog.jobs.interruptions import Interruptions
from catdog.jobs.job import Status
from catdog.jobs.queue import Lease
from catdog.versions.store import Store
from training.data import service_datasets
from training.data.features import Compute, FeatureExtractor, compute_here
from training.evaluation import same_photos
from training.worker.job_observer import JobObserver

PHASES: Final = ("first", "second")  # the version that looks at the photos
SHARES: Final[Mapping[str, tuple[float, float]]] = {"first": (0.0, 0.5), "second": (0.5, 1.0)}


@dataclass(frozen=True)
class ComparisonRunner:
    """Runs comparisons with one model store and one data folder; `compute` computes features of photos."""

    store: Store
    datasets: Datasets
    data_dir: Path
    compute: Compute = compute_here

    def run(self, lease: Lease, interruptions: Interruptions) -> None:
        """Run the comparison to its end; an exception means that it failed."""
        request, observer = lease.job.request, JobObserver(lease, SHARES)
        one, other = (self.store.open(number) for number in request["versions"])
        classes, splits = service_datasets.photos(self.datasets, request["dataset"])
        data = f"the {request['split']} photos of {request['dataset']}"
        compared = same_photos.compare(
            (one, other),
            classes,
            splits.get(request["split"], ()),
            data,
            FeatureExtractor(self.data_dir / "features", observer.skipped, observer.looked, self.compute),
            lambda place: observer.begin(PHASES[place]),
        )
        found = compared.found
        numbers = zip((one.number, other.number), found.metrics, strict=True)
        shares = " and ".join(f"{each.accuracy:.1%} for version {number}" for number, each in numbers)
        reason = f"accuracy on {found.photos:,} photos: {shares}"
        photos = [photo.model_dump(mode="json") for photo in compared.photos]
        findings = [{"kind": "different", "sentence": reason, "count": found.different, "photos": photos}]
        with interruptions.shielded():
            lease.end(Status.SUCCEEDED, reason, decision=found.model_dump(mode="json"), findings=findings)
