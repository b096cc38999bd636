"""Uses a service with KServe's SDK: `python with_kserve.py URL FOLDER KEY` prints the results as JSON.

The folder has photo.jpg, and pixels.npy, its pixels as input of the network.
"""

import asyncio
import base64
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest  # type: ignore[import-not-found]  # has its own
from kserve.inference_client import RESTConfig  # type: ignore[import-not-found]
from kserve.protocol.infer_type import RequestedOutput  # type: ignore[import-not-found]

MODEL = "catdog"


def in_binary(photo: bytes) -> Any:
    """The photo as binary data, with the probabilities requested as binary data too."""
    image = InferInput("image", [1], "BYTES")
    image.set_data_from_numpy(np.array([photo], np.object_))
    wanted = [RequestedOutput("probabilities", {"binary_data": True})]
    return InferRequest(MODEL, [image], request_id="42", request_outputs=wanted)


def in_json(photo: bytes) -> Any:
    return InferRequest(MODEL, [InferInput("image", [1], "BYTES", [base64.b64encode(photo).decode()])])


def raw(pixels: Any) -> Any:
    tensor = InferInput("pixels", [1, *pixels.shape], "UINT8")
    tensor.set_data_from_numpy(pixels[np.newaxis])
    return InferRequest(MODEL, [tensor])


async def second_protocol(url: str, photo: bytes, pixels: Any) -> dict[str, Any]:
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        binary = await client.infer(url, in_binary(photo), MODEL)
        return {
            "live": await client.is_server_live(url),
            "ready": await client.is_server_ready(url),
            "model_ready": await client.is_model_ready(url, MODEL),
            "other_ready": await client.is_model_ready(url, "dogcat"),
            "id": binary.id,
            "binary": binary.outputs[0].as_numpy().tolist(),
            "json": (await client.infer(url, in_json(photo), MODEL)).outputs[0].as_numpy().tolist(),
            "raw": (await client.infer(url, raw(pixels), MODEL)).outputs[0].as_numpy().tolist(),
            "refused": await refused(client.infer(url, in_binary(b"no photo"), MODEL)),
        }


async def first_protocol(url: str, photo: bytes) -> dict[str, Any]:
    instances = {"instances": [{"b64": base64.b64encode(photo).decode()}]}
    async with InferenceRESTClient(RESTConfig(protocol="v1")) as client:
        return {
            "model_ready": await client.is_model_ready(url, MODEL),
            "answer": await client.infer(url, instances, MODEL),
            "refused": await refused(client.infer(url, {"instances": []}, MODEL)),
        }


async def refused(asking: Any) -> str:
    try:
        await asking
    except Exception as error:  # any exception: only its text is checked
        return str(error)
    return ""


async def main(url: str, folder: Path) -> None:
    photo, pixels = (folder / "photo.jpg").read_bytes(), np.load(folder / "pixels.npy")
    found = {"v2": await second_protocol(url, photo, pixels), "v1": await first_protocol(url, photo)}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))
