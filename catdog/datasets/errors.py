"""Errors of data sets that are stored; see `catdog.errors`.

DatasetError
├── DatasetNotFound          no such data set
├── PictureNotFound          no such picture in it
├── DatasetExists            a name that another data set has
├── DatasetInUse             a training reads the data set
└── ChangeNotFound           no such change, or it can no longer be undone
"""

from catdog.errors import DatasetError
from catdog.faults import shown


class DatasetExists(DatasetError):
    """A name that another data set has."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"there is a data set {shown(name)} already; choose another name, or merge the two")


class DatasetInUse(DatasetError):
    """A training that is queued or running reads the data set."""

    def __init__(self, name: str, job: str, status: str) -> None:
        self.name = name
        self.job = job
        super().__init__(
            f"a training on the data set {shown(name)} is {status} (job {job}); wait for its end, or cancel it:"
            f" DELETE /retrain/{job}"
        )


class ChangeNotFound(DatasetError):
    """No such change, or it can no longer be undone."""

    def __init__(self, change: int) -> None:
        self.change = change
        super().__init__(f"there is no change {change} that can be undone; GET /changes lists them")


class DatasetNotFound(DatasetError):
    """No such data set; `datasets` are the existing ones."""

    def __init__(self, name: str, datasets: tuple[str, ...]) -> None:
        self.name = name
        self.datasets = datasets
        there = ", ".join(datasets) or "none"
        super().__init__(f"there is no data set {shown(name)} (there are: {there}); upload pictures into it first")


class PictureNotFound(DatasetError):
    """No such picture in a data set."""

    def __init__(self, dataset: str, sha256: str) -> None:
        self.dataset = dataset
        self.sha256 = sha256
        super().__init__(f"the data set {shown(dataset)} has no picture {sha256}")
