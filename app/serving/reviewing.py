"""Orders predicted photos by how useful their label would be."""

from typing import TYPE_CHECKING

from app.serving.prediction_log import Kept, KeptUploads

if TYPE_CHECKING:
    from catdog.datasets.datasets import Datasets


def least_sure(uploads: KeptUploads, datasets: "Datasets", limit: int) -> list[Kept]:
    """The kept photos with the smallest probabilities, the least sure first: each content once, none labelled yet."""
    labelled = datasets.labelled_by_feedback()
    newest: dict[str, Kept] = {}
    for kept in uploads.newest():
        if kept.sha256 not in labelled:
            newest.setdefault(kept.sha256, kept)
    return sorted(newest.values(), key=lambda kept: kept.prediction.probability)[:limit]
