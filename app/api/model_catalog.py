"""Lists the store's versions, their manifests and reports. All functions read the disk."""

from pathlib import Path

from app.api.automation.trial_schemas import Trial
from app.api.model_schemas import Comparison, ListedVersion, ModelVersion, Report, ReportFile
from catdog.errors import BrokenVersion, StoreError, StoreUnavailable, VersionNotFound
from catdog.versions.manifest import Manifest
from catdog.versions.store import Store

# The files of a report that neither show nor name a training photo. All others require the role `label`.
WITHOUT_PHOTOS = frozenset(
    {
        "accuracy.png",
        "charts.json",
        "confusion-matrix.png",
        "evaluation.json",
        "history.csv",
        "loss.png",
        "reliability.png",
    }
)


def listed(store: Store) -> list[ListedVersion]:
    """Every version, newest first, including unreadable ones."""
    champion, served, versions = _champion(store), _served(store), []
    fingerprint, trials = _fingerprint(store, champion), _trials(store)
    for number in reversed(store.versions()):
        try:
            manifest = store.open(number).manifest
            more = {"champion": number == champion, "served": number in served, "trial": trials.get(number)}
            versions.append(ListedVersion.of(manifest, fingerprint, **more))
        except (BrokenVersion, StoreUnavailable) as error:
            versions.append(ListedVersion(version=number, champion=number == champion, problem=str(error)))
        except VersionNotFound:  # deleted in the meantime
            continue
    return versions


def described(store: Store, number: int, unknown_keep: float) -> ModelVersion:
    """One version, compared with the champion; VersionNotFound, BrokenVersion."""
    manifest, champion = store.open(number).manifest, _champion(store)
    return ModelVersion.of(
        manifest,
        unknown_keep,
        champion=number == champion,
        decision=manifest.decision,
        trial=_trials(store).get(number),
        comparison=_comparison(store, manifest, champion),
    )


def report(store: Store, number: int) -> Report:
    """The files of a version's report; VersionNotFound, BrokenVersion."""
    files = _report_files(store, number)
    return Report(files=[_described(file) for file in files])


def report_file(store: Store, number: int, name: str) -> Path | None:
    """Path of one of these files, None if there is none of that name; VersionNotFound, BrokenVersion."""
    return next((file for file in _report_files(store, number) if file.name == name), None)


def _described(file: Path) -> ReportFile:
    return ReportFile(name=file.name, bytes=file.stat().st_size, needs_admin_key=file.name not in WITHOUT_PHOTOS)


def _report_files(store: Store, number: int) -> list[Path]:
    folder = store.open(number).path / "report"
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def _champion(store: Store) -> int | None:
    try:
        return store.champion()
    except StoreError:
        return None


def _served(store: Store) -> tuple[int, ...]:
    try:
        return store.champions()
    except StoreError:
        return ()


def _trials(store: Store) -> dict[int, Trial]:
    """Every version's trial; none if they can't be read, which `GET /shadow` reports."""
    try:
        return {version: Trial.of(trial) for version, trial in store.trials.read().items()}
    except StoreError:
        return {}


def _fingerprint(store: Store, champion: int | None) -> str | None:
    """That of the champion's data set; None if there is no champion that can be read."""
    try:
        return None if champion is None else store.open(champion).manifest.lineage.dataset.fingerprint
    except StoreError:
        return None


def _comparison(store: Store, manifest: Manifest, champion: int | None) -> Comparison | None:
    """None for the champion itself, and if there is no champion that can be read."""
    if champion is None or champion == manifest.version:
        return None
    try:
        return Comparison.of(manifest, store.open(champion).manifest)
    except BrokenVersion:
        return None
