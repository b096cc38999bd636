"""Recognises weight files that aren't HDF5, and says how to convert them.

Nothing in such a file is unpickled, executed or unpacked; only the list of names in a ZIP is read.
"""

from pathlib import Path
from typing import Final
from zipfile import BadZipFile, LargeZipFile, ZipFile

HDF5: Final = b"\x89HDF\r\n\x1a\n"
FIRST_BYTES: Final = 512
WEIGHTS: Final = "model.weights.h5"  # in a .keras file

SAVE: Final = "model.save_weights('vgg16.weights.h5')"
IN_KERAS: Final = "build the model as it was trained, load this into it, then in Python: " + SAVE
IN_TENSORFLOW: Final = (
    "in TensorFlow, with the model built as it was trained: model.load_weights('{name}'), then " + SAVE
)
FROM_TORCH: Final = (
    "in Python, with the Keras model built: set each Conv2D from it by"
    " layer.set_weights([weight.permute(2, 3, 1, 0).numpy(), bias.numpy()]), then " + SAVE
)
FROM_PICKLE: Final = (
    "for `catdog import-model`, in PyTorch: safetensors.torch.save_file(model.state_dict(), 'vgg16.safetensors');"
    " for other commands, " + FROM_TORCH
)

# The first bytes of files that are mistaken for weights: what they are, and what to do.
STARTS: Final = (
    (b"version https://git-lfs", "a Git LFS pointer instead of the file", "fetch it: git lfs pull"),
    (b"\x1f\x8b", "compressed with gzip", "unpack it: gunzip"),
    (b"<", "a web page or XML", "download the file itself; a login or an error page may have come instead"),
    (b"\x93NUMPY", "a NumPy array", IN_KERAS),
    (b"\x08\x01", "a TensorFlow SavedModel or graph", IN_KERAS),
    (b"\x08", "an ONNX model", IN_KERAS),
    (b"\x80", "a pickle, as of PyTorch, joblib or Keras 1, which is never opened here: it could run code", FROM_PICKLE),
)


def kind(path: Path) -> str:
    """A sentence about a file that HDF5 can't open, without the file's name."""
    try:
        with path.open("rb") as file:
            start = file.read(FIRST_BYTES)
    except OSError as error:
        return error.strerror or "can't be opened"
    if start.startswith(HDF5):
        return (
            f"not an HDF5 file that can be read: damaged or truncated at {path.stat().st_size:,} bytes;"
            " download or copy it again"
        )
    found, advice = _found(path, start)
    return f"not an HDF5 file{f' but {found}' if found else ', or truncated'}; {advice}"


def missing(path: Path) -> str | None:
    """The same about a path without a file, or to a folder; None if nothing helpful can be said."""
    if path.is_dir():
        if (path / "saved_model.pb").exists():
            return f"Is a directory: a TensorFlow SavedModel; {IN_KERAS}"
        if (path / "config.json").exists() and (path / WEIGHTS).exists():
            return f"Is a directory: an unpacked .keras file; pass {WEIGHTS} in it"
        return None
    if path.with_name(f"{path.name}.index").exists():
        return f"a TensorFlow checkpoint ({path.name}.index and .data files); " + IN_TENSORFLOW.format(name=path.name)
    return None


def _found(path: Path, start: bytes) -> tuple[str, str]:
    """What the file is, "" if unknown, and what to do."""
    name = path.name
    if not start:
        return "empty", "download or copy it again"
    if not start.strip(b"\0"):
        return "zeros, as after an interrupted download", "download or copy it again"
    if start.startswith(b"PK"):
        return _zipped(path)
    if start[4:8] == b"TFL3":
        return "a TensorFlow Lite model", f"it can't be converted back; {IN_KERAS}"
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 10**8:
        return "a safetensors file, as of PyTorch", FROM_TORCH
    if ".data-" in name or name.endswith(".index") or start.startswith(b"model_checkpoint_path"):
        return "a part of a TensorFlow checkpoint", IN_TENSORFLOW.format(
            name=name.split(".data-")[0].split(".index")[0]
        )
    for first, found, advice in STARTS:
        if start.lstrip().startswith(first):
            return found, advice
    return "", f"pass weights that Keras saved: {SAVE}"


def _zipped(path: Path) -> tuple[str, str]:
    try:
        with ZipFile(path) as archive:
            names = archive.namelist()
    except (BadZipFile, LargeZipFile, OSError, NotImplementedError, ValueError, UnicodeDecodeError):
        return "a damaged ZIP, as .keras and PyTorch files are", "download or copy it again"
    if WEIGHTS in names:
        return (
            "a .keras file, a whole model",
            f"in Python: model = keras.saving.load_model('{path.name}'), then {SAVE};"
            " of a network within it: model.get_layer('vgg16').save_weights('vgg16.weights.h5')",
        )
    if any(name.endswith("data.pkl") for name in names):
        return "a file of PyTorch, a pickle which is never opened here: it could run code", FROM_PICKLE
    if any(name.endswith(".npy") for name in names):
        return "an archive of NumPy arrays (.npz)", IN_KERAS
    if inside := [name for name in names if name.endswith((".h5", ".hdf5"))]:
        return "a ZIP", f"unpack it, and pass {inside[0]}"
    return "a ZIP that holds no weights", f"pass weights that Keras saved: {SAVE}"
