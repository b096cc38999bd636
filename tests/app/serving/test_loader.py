"""Loading a version from the store, and the compiled graph that is cached for the next start."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from app.serving import loader
from app.serving.loaded_model import LoadedModel
from app.serving.loader import load, read, share
from app.settings import Settings
from catdog.engines.engine import Output
from catdog.engines.openvino import OpenVINOEngine
from catdog.errors import BrokenVersion
from catdog.network.architecture import Network
from catdog.system import resources
from catdog.versions import golden
from catdog.versions.store import Store
from tests.app.service import TEMPERATURE, TINY, probabilities, publish, random_arrays


def loaded(models_dir: Path, number: int = 1, soon: bool = False, **settings_given: Any) -> LoadedModel:
    settings = Settings.model_construct(data_dir=models_dir / "data", **settings_given)
    version = Store(models_dir).open(number)
    return load(version, read(version, settings), settings, soon=soon)


def was_cached(champion: LoadedModel) -> bool:
    assert isinstance(champion.engine, OpenVINOEngine)
    return champion.engine.was_cached


def test_a_second_start_compiles_nothing_and_answers_the_same(tmp_path: Path, jpeg: bytes) -> None:
    publish(tmp_path)

    first, second = loaded(tmp_path), loaded(tmp_path)

    assert (was_cached(first), was_cached(second)) == (False, True)
    assert probabilities(first, jpeg) == probabilities(second, jpeg)


def test_heads_on_one_backbone_share_what_was_compiled(tmp_path: Path) -> None:
    publish(tmp_path)
    publish(tmp_path, head_seed=8)

    loaded(tmp_path, 1)

    assert was_cached(loaded(tmp_path, 2))


@pytest.mark.parametrize("way", [False, True], ids=["alone", "beside others"])
def test_a_version_must_answer_rightly_in_both_ways_to_infer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: bool
) -> None:
    class Wrong(OpenVINOEngine):
        """An engine with inverted answers in one of its two ways to infer."""

        def infer(self, pixels: NDArray[np.uint8], shared: bool = False) -> Output:
            output = super().infer(pixels, shared)
            return output if shared != way else Output(-output.logits, output.features)

    publish(tmp_path, golden=golden.record(Network(TINY, random_arrays(TINY, 7, 7)), TEMPERATURE))
    loaded(tmp_path, precision="f32")
    monkeypatch.setattr(loader, "OpenVINOEngine", Wrong)

    with pytest.raises(BrokenVersion, match="not those that it was published with"):
        loaded(tmp_path, precision="f32")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """The `shared` flag of each inference, recorded at its start and again at its end."""
    heard: list[bool] = []

    class Listening(OpenVINOEngine):
        def infer(self, pixels: NDArray[np.uint8], shared: bool = False) -> Output:
            heard.append(shared)
            output = super().infer(pixels, shared)
            heard.append(shared)
            return output

    monkeypatch.setattr(loader, "OpenVINOEngine", Listening)
    return heard


def test_one_photo_is_inferred_alone_and_then_one_in_every_stream(tmp_path: Path, asked: list[bool]) -> None:
    publish(tmp_path)

    streams = loaded(tmp_path, precision="f32", streams=3).engine.streams

    assert asked == [False] * 2 + [True] * 2 * streams


@pytest.mark.skipif(resources.usable_cores() < 2, reason="one core has one stream")
def test_a_version_that_is_wanted_soon_infers_one_photo_at_a_time_until_its_streams_were_tried(
    tmp_path: Path, asked: list[bool], jpeg: bytes
) -> None:
    publish(tmp_path)

    soon = loaded(tmp_path, soon=True, precision="f32", streams=2)

    assert (asked, soon.engine.streams) == ([False] * 2, 1)
    whole = share(soon, Settings.model_construct(data_dir=tmp_path / "data"))
    assert (asked[2:], whole.engine.streams) == ([True] * 4, 2)
    assert whole.drift is soon.drift
    assert probabilities(whole, jpeg) == probabilities(soon, jpeg)


@pytest.mark.skipif(resources.usable_cores() < 2, reason="one core has one stream")
def test_streams_with_wrong_answers_are_not_used_and_compiled_again_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, jpeg: bytes
) -> None:
    class Wrong(OpenVINOEngine):
        def infer(self, pixels: NDArray[np.uint8], shared: bool = False) -> Output:
            output = super().infer(pixels, shared)
            return Output(-output.logits, output.features) if shared else output

    publish(tmp_path, golden=golden.record(Network(TINY, random_arrays(TINY, 7, 7)), TEMPERATURE))
    monkeypatch.setattr(loader, "OpenVINOEngine", Wrong)
    soon = loaded(tmp_path, soon=True, precision="f32", streams=2)

    left = share(soon, Settings.model_construct(data_dir=tmp_path / "data"))

    assert (left.engine.streams, left.unconfirmed) == (1, None)
    assert "one photo at a time, and is compiled again at the next start: its answers are not those" in caplog.text
    assert probabilities(left, jpeg) == probabilities(soon, jpeg)
    assert not was_cached(loaded(tmp_path, soon=True, precision="f32", streams=2))


def test_a_cached_graph_with_wrong_answers_is_compiled_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, jpeg: bytes
) -> None:
    answers = golden.record(Network(TINY, random_arrays(TINY, 7, 7)), TEMPERATURE)
    publish(tmp_path, golden=answers)
    first = loaded(tmp_path, precision="f32")
    bias = random_arrays(TINY, 7, 7)["block2_conv1/bias"].tobytes()
    for blob in tmp_path.glob("data/compiled/*/*.blob"):
        whole = blob.read_bytes()
        assert bias in whole  # a constant, which OpenVINO doesn't verify
        blob.unlink()
        blob.write_bytes(whole.replace(bias, np.full(len(bias) // 4, 9, np.float32).tobytes()))

    again = loaded(tmp_path, precision="f32")

    assert "compiled again" in caplog.text
    assert probabilities(again, jpeg) == probabilities(first, jpeg)
    assert was_cached(loaded(tmp_path, precision="f32"))


def test_what_was_compiled_longest_ago_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "KEPT", 2)
    for seed in range(3):
        publish(tmp_path, seed=seed)
    first = loaded(tmp_path, 1)
    second = loaded(tmp_path, 2)
    loaded(tmp_path, 1)

    third = loaded(tmp_path, 3)

    kept = {folder.name for folder in (tmp_path / "data" / "compiled").iterdir()}
    assert kept == {first.graph, third.graph}
    assert second.graph not in kept


@pytest.mark.whole
def test_keras_can_serve_instead_of_openvino(tmp_path: Path, jpeg: bytes) -> None:
    publish(tmp_path, golden=golden.record(Network(TINY, random_arrays(TINY, 7, 7)), TEMPERATURE))

    by_keras, by_openvino = loaded(tmp_path, engine="keras", precision="f32"), loaded(tmp_path, precision="f32")

    assert type(by_keras.engine).__name__ == "KerasEngine"
    assert probabilities(by_keras, jpeg) == pytest.approx(probabilities(by_openvino, jpeg), abs=1e-4)
