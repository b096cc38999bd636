"""Classifies photos so that reading, decoding and inference overlap on all cores.

Each thread decodes a few photos and then infers them, while other threads do the other. A bounded number of photos is
begun, so memory doesn't grow with the number of photos.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from io import BytesIO
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.classification.journal import Row
from app.classification.photos import Photo
from app.classification.results import file_of
from app.serving.class_activation import heat_map
from app.serving.decoding import Memory
from app.serving.loaded_model import LoadedModel
from app.settings import Settings
from catdog import images
from catdog.decoding_cost import demand
from catdog.engines.engine import Engine, Output
from catdog.errors import CatdogError, StoreUnavailable
from catdog.system import resources

# Photos that a thread decodes one after the other before it infers them. A core that changes between the two after each
# photo loses what its cache holds of the decoder and the network, and threads wait for each other more often.
GROUP: Final = 16
AHEAD: Final = 2  # groups for each thread, so that none waits while rows are brought to the disk
LATE: Final = 4  # times as many groups may wait for one that takes long; most of them have only rows left
READERS: Final = 16  # remote photos that are read at a time
MEMORY_SHARE: Final = 4  # decoding may use a quarter of the memory, like the service

Given = TypeVar("Given")
Made = TypeVar("Made")


class NotDrawable(CatdogError):
    """A version without class activation maps."""


class Decoded(NamedTuple):
    """A photo with its pixels, uint8 RGB (224, 224, 3), or the reason why it has none."""

    photo: Photo
    pixels: NDArray[np.uint8] | None
    error: str | None = None


def check_drawable(model: LoadedModel) -> None:
    """Raise NotDrawable if the version has no class activation maps."""
    if model.manifest.head != "pooled":
        raise NotDrawable(
            f"version {model.manifest.version} has the classic head, which has no class activation map; leave out"
            " --explain-to, or use a version with the pooled head"
        )


def classify(
    photos: Iterable[Photo], model: LoadedModel, settings: Settings, explain_to: Path | None = None
) -> Iterator[Row]:
    """A row for each photo, in order; with `explain_to` its explanation is drawn into that folder."""
    threads = settings.decoders or resources.usable_cores() + 1
    memory = Memory(settings.decoding_bytes or resources.usable_bytes() // MEMORY_SHARE)
    readers, workers = ThreadPoolExecutor(READERS), ThreadPoolExecutor(threads)
    groups = _groups(_read_ahead(readers, photos), max(GROUP, model.engine.largest_batch))
    is_closed = Event()

    def answer(group: list[Photo]) -> list[Row]:
        decoded = [_decode(photo, memory) for photo in group if not is_closed.is_set()]
        return _answer(decoded, model, settings, explain_to)

    try:
        for rows in in_order(workers, answer, groups, AHEAD * threads):
            yield from rows
    finally:
        is_closed.set()
        readers.shutdown(wait=False, cancel_futures=True)
        workers.shutdown(wait=False, cancel_futures=True)


def in_order(threads: Executor, make: Callable[[Given], Made], given: Iterable[Given], ahead: int) -> Iterator[Made]:
    """Like `map`, on threads: results in order, and at most `ahead` at a time that are begun and not made yet.

    When one takes long, threads go on with later ones, until LATE times as many wait for it.
    """
    remaining = iter(given)
    waiting: deque[Future[Made]] = deque()
    while True:
        unmade = [future for future in waiting if not future.done()]
        room = min(ahead - len(unmade), LATE * ahead - len(waiting))
        begun = [threads.submit(make, one) for one in islice(remaining, room)]
        waiting.extend(begun)
        if not waiting:
            return
        if waiting[0].done() or len(begun) < room or len(waiting) == LATE * ahead:
            yield waiting.popleft().result()
        else:
            wait(unmade + begun, return_when=FIRST_COMPLETED)


def _read_ahead(readers: Executor, photos: Iterable[Photo]) -> Iterator[Photo]:
    """The same photos in order, while the next remote ones are read on threads already."""
    waiting: deque[Photo] = deque()
    for photo in photos:
        waiting.append(photo._replace(read=readers.submit(photo.read).result) if photo.is_remote else photo)
        while waiting and (len(waiting) > READERS or not photo.is_remote):
            yield waiting.popleft()
    yield from waiting


def _groups(items: Iterable[Given], largest: int) -> Iterator[list[Given]]:
    remaining = iter(items)
    while group := list(islice(remaining, largest)):
        yield group


def _decode(photo: Photo, memory: Memory) -> Decoded:
    try:
        data = photo.read()
        with memory.taken(demand(data).memory_bytes):
            return Decoded(photo, images.decode(data))
    except StoreUnavailable:  # not the photo's fault
        raise
    except OSError as error:
        return Decoded(photo, None, error.strerror or str(error))
    except CatdogError as error:
        return Decoded(photo, None, str(error))
    except MemoryError:
        return Decoded(photo, None, "there isn't enough memory to decode it")


def _answer(decoded: list[Decoded], model: LoadedModel, settings: Settings, explain_to: Path | None) -> list[Row]:
    """The rows of photos, inferred in batches of the engine's size, or one by one if they are drawn."""
    if explain_to is not None:
        return [_row(one, _explained(one, model, explain_to), model, settings) for one in decoded]
    # All are inferred first: between two photos, the code that makes rows would have left the cache.
    outputs = iter(list(_outputs([one.pixels for one in decoded if one.pixels is not None], model.engine)))
    return [_row(one, None if one.pixels is None else next(outputs), model, settings) for one in decoded]


def _outputs(pixels: list[NDArray[np.uint8]], engine: Engine) -> Iterator[Output]:
    """The output for each photo, uint8 RGB (224, 224, 3)."""
    for batch in _groups(pixels, engine.largest_batch):
        together = batch[0][np.newaxis] if len(batch) == 1 else np.stack(batch)
        output = engine.infer(together, shared=engine.streams > 1)
        yield from (Output(*(part[place : place + 1] for part in output)) for place in range(len(batch)))


def _explained(one: Decoded, model: LoadedModel, folder: Path) -> Output | None:
    if one.pixels is None:
        return None
    return _drawn(model, one.pixels, file_of(folder, one.photo.path))


def _row(one: Decoded, output: Output | None, model: LoadedModel, settings: Settings) -> Row:
    is_file = one.photo.file is not None
    if output is None:
        return Row(one.photo.path, is_file, error=one.error)
    answer = model.answer(output, keep=settings.unknown_keep)
    return Row(one.photo.path, is_file, tuple(answer.probabilities.values()), answer.unknown)


def _drawn(model: LoadedModel, pixels: NDArray[np.uint8], file: Path) -> Output:
    """The output for one photo, uint8 RGB (224, 224, 3); the photo with the map of its class is in the file then."""
    found = model.engine.explain(pixels[np.newaxis], shared=model.engine.streams > 1)
    place = int(found.output.logits[0].argmax())
    photo = Image.fromarray(pixels).convert("RGBA")
    photo.alpha_composite(Image.open(BytesIO(heat_map(found.maps[0][:, :, place]))))
    aside = file.with_name(f".{file.name}.new")
    photo.convert("RGB").save(aside, "PNG")
    aside.replace(file)
    return found.output
