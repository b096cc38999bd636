"""The training strategies: a new head, fine-tuning, training every layer, or a smaller network.

Keras is imported where it is used: it imports TensorFlow, which takes seconds and isn't needed for a head alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from pathlib import Path
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from catdog.errors import RecipeError
from catdog.network import weights
from catdog.network.architecture import BLOCKS, INPUT_PIXELS, Architecture, Arrays, Int8Graph, Network
from training.data import near_duplicates
from training.data.dataset import Dataset, Photo, labels
from training.data.features import FeatureExtractor
from training.data.pixels import Labelled, decode
from training.data.trained_on import of_pixels
from training.fitting import linear_head, quantization
from training.fitting.backbones import Backbone
from training.fitting.config import Config, Strategy
from training.fitting.observer import Observer
from training.fitting.quantization import QuantizationFailed

HEAD_RATE = 1e-3  # peak learning rate of a classic head, which starts from random weights
STARTED_ON = 2_000  # largest number of photos for the initial head of "finetune": minutes instead of an hour
RECONSTRUCTED_ON = 256  # photos on which a compressed network's layers are to compute what the version's did
UNFOLDED_ON = 64  # photos for the initial normalisation statistics of a given backbone
HEAD_ARRAYS = ("predictions/kernel", "predictions/bias")  # of the pooled head


@dataclass(frozen=True)
class Job:
    """A training to do.

    `graphs` caches int8 graphs of backbones; `folder` has the state for resuming. Without `quantize` no int8 graph is
    made.
    """

    config: Config
    dataset: Dataset
    backbone: Backbone
    extractor: FeatureExtractor
    graphs: Path
    folder: Path
    resume: bool
    quantize: bool
    observer: Observer

    @property
    def architecture(self) -> Architecture:
        """The architecture with a new head on the backbone."""
        return replace(self.backbone.architecture, classes=len(self.dataset.classes), head=self.config.head)


@dataclass(frozen=True)
class Trained:
    """A whole network, the photos that could be read, and one row per epoch, if there were epochs.

    `pictures` are hashes of the n training photos, uint64 (n,), from `training.data.near_duplicates`. `unseen` is only
    set if just a head was fitted: the cross-validated logits of the training photos, (n, classes), and their labels,
    (n,). `unquantized` is the reason if there is no int8 graph.
    """

    network: Network
    dataset: Dataset
    pictures: NDArray[np.uint64]
    history: Sequence[Mapping[str, float]] = ()
    unseen: tuple[NDArray[np.floating], NDArray[np.int64]] | None = None
    unquantized: str | None = None


def head_only(job: Job) -> Trained:
    """Fit a linear head on the frozen backbone. Its int8 graph is made first, so the features are those of serving."""
    if job.config.head != "pooled":
        raise RecipeError(
            "only the pooled head can be fitted on a frozen backbone; use --strategy finetune for the classic one"
        )
    int8, unquantized = job.backbone.int8, None
    if int8 is None:
        int8, unquantized = _quantized(job, _headless(job), job.dataset.splits["train"], job.graphs)
    fitted = fit_head(replace(job, backbone=replace(job.backbone, int8=int8)))
    return replace(fitted, unquantized=unquantized)


def fit_head(job: Job) -> Trained:
    """A new linear head on the unchanged backbone, with or without an int8 graph; its values fit float16."""
    network = _headless(job)
    job.observer.phase("features")
    photos = job.dataset.splits["train"]
    seen = job.extractor.look(photos, network)
    usable = job.dataset.with_only({"train": seen.photos})
    job.observer.phase("fitting")
    truth = labels(seen.photos)
    arrays, logits = linear_head.fit(
        (seen.output.features, truth), len(usable.classes), job.config.seed, _progress_of_fits(job.observer)
    )
    return Trained(
        replace(network, arrays=job.backbone.arrays | weights.halved(arrays)),
        usable,
        near_duplicates.hashes(seen.thumbnails),
        unseen=None if logits is None else (logits, truth),
    )


def _progress_of_fits(observer: Observer) -> linear_head.Progress:
    """Reports the progress of fitting a head to the observer; the time left assumes equally long fits."""
    began = monotonic()

    def tell(done: int, total: int) -> None:
        observer.progress(done / total, (monotonic() - began) * (total - done) / done)

    return tell


def finetune(job: Job) -> Trained:
    """Fit a head, then train the last blocks with it at a low learning rate; keep the head alone if that is better.

    The result fits float16.
    """
    import keras

    from catdog.engines import keras as reference
    from training.fitting.loop import TrainingLoop

    config = job.config
    arrays: Arrays = job.backbone.arrays
    side: int | None = INPUT_PIXELS
    train, validation, usable = _labelled(job, job.dataset)
    if config.head == "pooled":
        arrays, side = fit_head(replace(job, dataset=_some(usable))).network.arrays, None
    keras.utils.set_random_seed(config.seed)
    network = reference.build(job.architecture, config.policy, config.dropout, side=side)
    reference.assign(network, arrays)

    def fit(frozen_blocks: int, config: Config, folder: Path) -> Sequence[Mapping[str, float]]:
        frozen = {layer.name for block in job.architecture.blocks[:frozen_blocks] for layer in block}
        for layer in network.layers:
            layer.trainable = layer.name not in frozen
        model = keras.Model(network.inputs, network.outputs[0])
        return TrainingLoop(model, train, validation, config, folder, job.observer).run(job.resume)

    if config.head == "classic":  # not a convex problem, so its initial fit also takes epochs
        fit(len(BLOCKS), replace(config, learning_rate=HEAD_RATE), job.folder / "head")
    history = fit(len(BLOCKS) - config.unfreeze, config, job.folder)
    trained = Network(job.architecture, weights.halved(reference.arrays(network, job.architecture)))
    return _with_int8(job, Trained(trained, usable, of_pixels(train.photos), history))


def full(job: Job) -> Trained:
    """Train every layer, with batch normalisation that is folded at the end; the result fits float16."""
    from training.fitting import trainable_network
    from training.fitting.loop import TrainingLoop

    config = job.config
    train, validation, usable = _labelled(job, job.dataset)
    model = trainable_network.build(job.architecture, config.dropout, config.policy, config.seed)
    if config.backbone != "random":
        some = _spread(train.photos, UNFOLDED_ON)
        trainable_network.unfold(model, job.architecture, job.backbone.arrays, some)
    history = TrainingLoop(model, train, validation, config, job.folder, job.observer).run(job.resume)
    trained = Network(job.architecture, weights.halved(trainable_network.fold(model, job.architecture)))
    return _with_int8(job, Trained(trained, usable, of_pixels(train.photos), history))


def compress(job: Job) -> Trained:
    """Cut a version's network to its most important channels, and train those to answer like it; fits float16.

    RecipeError if the data set has other classes than the version.
    """
    from training.fitting import distillation, narrowing, trainable_network
    from training.fitting.loop import TrainingLoop

    config, teacher = job.config, _teacher(job)
    train, validation, usable = _labelled(job, job.dataset)
    some = _spread(train.photos, UNFOLDED_ON)
    deviations = narrowing.deviations(teacher, some)
    smaller = Architecture(len(usable.classes), config.width)
    if config.multiply_adds is not None:
        smaller = narrowing.smaller(teacher, deviations, config.multiply_adds)
    start, features = narrowing.narrow(teacher, deviations, smaller, _spread(train.photos, RECONSTRUCTED_ON))
    model = trainable_network.build(smaller, config.dropout, config.policy, config.seed)
    trainable_network.unfold(model, smaller, start.arrays, some)
    views = distillation.Views(train, config)
    answers = distillation.Answers(views, job.extractor.engine(teacher), features, job.folder).compute(job.observer)
    student = distillation.Student(model.input, [model.output, model.get_layer("features").output])
    student.learn_from(answers)
    batches = partial(distillation.TaughtBatches, views=views, answers=answers)
    history = TrainingLoop(student, train, validation, config, job.folder, job.observer, batches).run(job.resume)
    trained = Network(smaller, weights.halved(trainable_network.fold(model, smaller)))
    return _with_int8(job, Trained(trained, usable, of_pixels(train.photos), history))


STRATEGIES: Mapping[Strategy, Callable[[Job], Trained]] = {
    "head": head_only,
    "finetune": finetune,
    "full": full,
    "compress": compress,
}


def _teacher(job: Job) -> Network:
    """The network to answer like, with its head."""
    if (teacher := job.backbone.network) is None:
        raise RecipeError(f"--teacher {job.config.backbone} is no version; name one by its number, or champion")
    if teacher.architecture.head != "pooled":
        raise RecipeError("only a version with the pooled head can be compressed")
    if job.backbone.classes != job.dataset.classes:
        raise RecipeError(
            f"a compressed network answers like its version, which has the classes {', '.join(job.backbone.classes)};"
            f" the photos have {', '.join(job.dataset.classes)}"
        )
    return teacher


def _spread(photos: NDArray[np.uint8], number: int) -> NDArray[np.uint8]:
    """At most `number` of the photos, from the first to the last."""
    return photos[:: max(1, len(photos) // number)][:number]


def _some(dataset: Dataset) -> Dataset:
    """A copy with at most STARTED_ON training photos, the same share of every class."""
    photos = dataset.splits["train"]
    step = ceil(len(photos) / STARTED_ON)
    classes = ([photo for photo in photos if photo.label == label] for label in range(len(dataset.classes)))
    return dataset.with_only({"train": tuple(photo for photos in classes for photo in photos[::step])})


def _headless(job: Job) -> Network:
    """The backbone's network with a pooled head of zeros."""
    blank = {name: np.zeros(job.architecture.shapes[name], np.float32) for name in HEAD_ARRAYS}
    return Network(job.architecture, job.backbone.arrays | blank, job.backbone.int8)


def _with_int8(job: Job, trained: Trained) -> Trained:
    int8, unquantized = _quantized(job, trained.network, trained.dataset.splits["train"], job.folder)
    return replace(trained, network=replace(trained.network, int8=int8), unquantized=unquantized)


def _quantized(
    job: Job, network: Network, photos: Sequence[Photo], folder: Path
) -> tuple[Int8Graph | None, str | None]:
    """The network's int8 graph, or the reason why there is none; a failure doesn't end the training."""
    if not job.quantize:
        return None, "none was requested"
    job.observer.phase("quantizing")
    try:
        return quantization.graph(network, photos, job.config.seed, folder), None
    except QuantizationFailed as error:
        return None, str(error)


def _labelled(job: Job, dataset: Dataset) -> tuple[Labelled, Labelled, Dataset]:
    """Train and validation photos decoded into the job's folder, and the data set with only the decodable ones."""
    job.observer.phase("features")
    job.folder.mkdir(parents=True, exist_ok=True)
    skipped = job.observer.skipped
    train, train_pixels = decode(dataset.splits["train"], skipped, job.folder / "train.npy")
    validation, validation_pixels = decode(dataset.splits["validation"], skipped, job.folder / "validation.npy")
    usable = dataset.with_only({"train": train, "validation": validation})
    classes = len(dataset.classes)
    return (
        Labelled(train_pixels, labels(train), classes),
        Labelled(validation_pixels, labels(validation), classes),
        usable,
    )
