"""From the model store into service."""

import logging
from io import BytesIO
from time import perf_counter

import anyio
from anyio import to_thread
from PIL import Image

from app.predictor import Champion, Predictor
from app.settings import Settings
from catdog import images
from catdog.errors import StoreError
from catdog.store import Store
from catdog.version import Version

logger = logging.getLogger(__name__)

RETRY_SECONDS = 2.0


async def start(predictor: Predictor, settings: Settings) -> None:
    """Put the store's champion into service; until that succeeds it is tried again, for it may yet be promoted."""
    while not await _try(predictor, settings):
        await anyio.sleep(RETRY_SECONDS)


async def _try(predictor: Predictor, settings: Settings) -> bool:
    """Tell the predictor and the log, in one line, why it failed, unless they know."""
    began = perf_counter()
    try:
        champion = await to_thread.run_sync(_load_champion, settings, abandon_on_cancel=True)
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        # A StoreError speaks of versions; what else went wrong may speak of this machine.
        told = reason if isinstance(error, StoreError) else "the model can't be loaded; the log says why"
        if told != predictor.reason:
            logger.error("%s is up but not ready: %s", settings.address, reason)
        predictor.reason = told
        return False
    predictor.swap(champion)
    logger.info("%s serves %s, loaded in %.1f s", settings.address, champion, perf_counter() - began)
    return True


def load(version: Version, settings: Settings) -> Champion:
    """One version, warm: it has answered a photo. Takes seconds; raises StoreError."""
    # Imported here, on the loading thread, so that the port opens without waiting for it.
    from catdog.engines.openvino import OpenVINOEngine

    engine = OpenVINOEngine(version.manifest.architecture, version.load(), settings.precision, settings.threads)
    champion = Champion(version.manifest, engine)
    champion.predict(images.decode(_grey_photo()))
    return champion


def _load_champion(settings: Settings) -> Champion:
    store = Store(settings.models_dir)
    return load(store.open(store.champion()), settings)


def _grey_photo() -> bytes:
    photo = BytesIO()
    Image.new("RGB", (64, 64), "grey").save(photo, "JPEG")
    return photo.getvalue()
