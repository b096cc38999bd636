"""Uses a service with Triton's client: `python with_tritonclient.py URL FOLDER KEY` prints the results as JSON.

The folder has photo.jpg, and pixels.npy, its pixels as input of the network; the key is the admin key.
"""

import base64
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.http as triton  # type: ignore[import-not-found]  # it has an environment of its own
from tritonclient.utils import InferenceServerException  # type: ignore[import-not-found]

MODEL = "catdog"


def encoded(photo: bytes, count: int = 1) -> Any:
    """The photo, several times, as binary data, which is the client's default."""
    image = triton.InferInput("image", [count], "BYTES")
    image.set_data_from_numpy(np.array([photo] * count, np.object_))
    return image


def in_json(photo: bytes) -> Any:
    image = triton.InferInput("image", [1], "BYTES")
    image.set_data_from_numpy(np.array([base64.b64encode(photo)], np.object_), binary_data=False)
    return image


def raw(pixels: Any) -> Any:
    tensor = triton.InferInput("pixels", [2, *pixels.shape], "UINT8")
    tensor.set_data_from_numpy(np.stack([pixels, pixels]))
    return tensor


def said(answer: Any) -> dict[str, Any]:
    probabilities, labels = answer.as_numpy("probabilities"), answer.as_numpy("label")
    texts = [each.decode() if isinstance(each, bytes) else each for each in labels]  # text where it came in JSON
    return {"probabilities": probabilities.tolist(), "type": str(probabilities.dtype), "labels": texts}


def refused(ask: Any) -> list[str]:
    try:
        ask()
    except InferenceServerException as error:
        return [error.status(), error.message()]
    return []


def looked_at(client: Any) -> dict[str, Any]:
    return {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model_ready": client.is_model_ready(MODEL),
        "other_ready": client.is_model_ready(MODEL, "2"),
        "server": client.get_server_metadata(),
        "model": client.get_model_metadata(MODEL),
        "index": client.get_model_repository_index(),
    }


def asked(client: Any, photo: bytes, pixels: Any) -> dict[str, Any]:
    best = triton.InferRequestedOutput("probabilities", class_count=2)
    as_text = [triton.InferRequestedOutput(name, binary_data=False) for name in ("probabilities", "label")]
    classified = client.infer(MODEL, [encoded(photo, 2)], outputs=[best]).as_numpy("probabilities")
    return {
        "binary": said(client.infer(MODEL, [encoded(photo)])),
        "id": client.infer(MODEL, [encoded(photo)], request_id="42").get_response()["id"],
        "json": said(client.infer(MODEL, [in_json(photo)], outputs=as_text)),
        "raw": said(client.infer(MODEL, [raw(pixels)])),
        "classified": [[each.decode() for each in line] for line in classified],
        "no_model": refused(lambda: client.infer("dogcat", [encoded(photo)])),
        "no_photo": refused(lambda: client.infer(MODEL, [encoded(b"no photo")])),
    }


def changed(client: Any, photo: bytes, key: str) -> dict[str, Any]:
    headers, second = {"Authorization": f"Bearer {key}"}, {"version": "2"}
    found: dict[str, Any] = {"without_key": refused(lambda: client.load_model(MODEL, query_params=second))}
    client.load_model(MODEL, headers, second)
    found["index"] = client.get_model_repository_index()
    found["second"] = client.infer(MODEL, [encoded(photo)], model_version="2").get_response()["model_version"]
    client.unload_model(MODEL, headers, second)
    found["unloaded"] = refused(lambda: client.infer(MODEL, [encoded(photo)], model_version="2"))
    found["champion"] = refused(lambda: client.unload_model(MODEL, headers))
    return found


def main(url: str, folder: Path, key: str) -> None:
    client = triton.InferenceServerClient(url.removeprefix("http://"))
    photo, pixels = (folder / "photo.jpg").read_bytes(), np.load(folder / "pixels.npy")
    found = looked_at(client) | asked(client, photo, pixels) | {"changed": changed(client, photo, key)}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
