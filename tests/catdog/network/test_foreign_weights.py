"""Files that are mistaken for weights are recognised without being opened."""

import io
import pickle
from pathlib import Path
from zipfile import ZipFile

import h5py
import numpy as np
import pytest

from catdog.errors import WeightsError
from catdog.network import weights
from catdog.network.architecture import Architecture

SMALL = Architecture(2, 1 / 32)


class Dangerous:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return pytest.fail, ("it was unpickled",)


def zipped(*names: str) -> bytes:
    written = io.BytesIO()
    with ZipFile(written, "w") as archive:
        for name in names:
            archive.writestr(name, b"content")
    return written.getvalue()


def array() -> bytes:
    written = io.BytesIO()
    np.save(written, np.zeros(3))
    return written.getvalue()


FILES = {
    "model.keras": (
        zipped("metadata.json", "config.json", "model.weights.h5"),
        "keras.saving.load_model('model.keras')",
    ),
    "model.pth": (zipped("archive/data.pkl", "archive/data/0"), "a file of PyTorch"),
    "old.pt": (pickle.dumps(Dangerous()), "a pickle, as of PyTorch"),
    "model.safetensors": ((64).to_bytes(8, "little") + b'{"conv1": {}}', "a safetensors file"),
    "arrays.npz": (zipped("arr_0.npy"), "an archive of NumPy arrays"),
    "array.npy": (array(), "a NumPy array"),
    "weights.zip": (zipped("folder/vgg16.weights.h5"), "unpack it, and pass folder/vgg16.weights.h5"),
    "other.zip": (zipped("readme.txt"), "a ZIP that holds no weights"),
    "damaged.keras": (zipped("config.json")[:40], "a damaged ZIP"),
    "model.tflite": (b"\x1c\0\0\0TFL3" + bytes(40), "a TensorFlow Lite model"),
    "model.ckpt.data-00000-of-00001": (bytes(range(64)), "model.load_weights('model.ckpt')"),
    "checkpoint": (b'model_checkpoint_path: "model.ckpt"', "a part of a TensorFlow checkpoint"),
    "saved_model.pb": (b"\x08\x01\x12", "a TensorFlow SavedModel or graph"),
    "model.onnx": (b"\x08\x07\x12\x07pytorch", "an ONNX model"),
    "vgg16.h5.gz": (b"\x1f\x8b\x08", "gunzip"),
    "vgg16.h5": (b"<!DOCTYPE html><html>", "a web page"),
    "pointer.h5": (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "empty.h5": (b"", "but empty"),
    "hole.h5": (bytes(4096), "but zeros, as after an interrupted download"),
    "photo.h5": (b"\xff\xd8\xff\xe0", "pass weights that Keras saved"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_named_for_what_it_is(tmp_path: Path, name: str) -> None:
    content, said = FILES[name]
    (tmp_path / name).write_bytes(content)

    with pytest.raises(WeightsError) as refused:
        weights.read_backbone(tmp_path / name, SMALL)

    assert str(refused.value).startswith(f"{name}: not an HDF5 file")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_cut_short_is_to_be_copied_again(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "vgg16.h5", "w") as file:
        file["layers/conv2d/vars/0"] = np.zeros(5000)
    (tmp_path / "vgg16.h5").write_bytes((tmp_path / "vgg16.h5").read_bytes()[:3000])

    with pytest.raises(WeightsError, match="truncated at 3,000 bytes; download or copy it again"):
        weights.read_backbone(tmp_path / "vgg16.h5", SMALL)


def test_folders_and_checkpoints_are_named_as_well(tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").touch()
    (tmp_path / "model.ckpt.index").touch()

    with pytest.raises(WeightsError, match="Is a directory: a TensorFlow SavedModel"):
        weights.read_backbone(tmp_path / "saved", SMALL)
    with pytest.raises(WeightsError, match=r"a TensorFlow checkpoint \(model\.ckpt\.index"):
        weights.read_backbone(tmp_path / "model.ckpt", SMALL)
