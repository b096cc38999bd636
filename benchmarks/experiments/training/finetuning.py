"""Accuracy of fine-tuning variants through the real trainer.

`python -m benchmarks.experiments.training.finetuning --imagenet FILE [--data DIR] [VARIANT...]` trains each variant on
the photos of DIR/train, by default ../shared/data/cat_breeds, from ImageNet's VGG16 in FILE, and prints what the
version measures on DIR/validation, by which its best epoch was chosen as well. An interrupted variant goes on.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from time import monotonic

from benchmarks.harness.machine import Machine
from benchmarks.harness.photos import SHARED_DATA
from benchmarks.harness.processes import ROOT
from catdog.versions.store import Store
from training.fitting import recipes
from training.fitting.augmentation import Augmentation
from training.fitting.config import Config, Stage
from training.fitting.observer import Terminal
from training.publishing.pipeline import Request, train

SMALL = (Stage(160, 10, 32),)
LARGE = (Stage(224, 10, 16),)
PLAIN = Config(strategy="finetune", steps=500)

VARIANTS: dict[str, Config] = {
    "head": Config(),
    "finetune": recipes.finetune(),
    "160 px, 2 blocks": replace(PLAIN, unfreeze=2, stages=SMALL),
    "160 px, 2 blocks, mixup": replace(PLAIN, unfreeze=2, stages=SMALL, mixup=0.4),
    "160 px, 2 blocks, mixup, averaged": replace(PLAIN, unfreeze=2, stages=SMALL, mixup=0.4, averaged_steps=33),
    "224 px, 1 block": replace(PLAIN, unfreeze=1, stages=LARGE),
    "224 px, 2 blocks": replace(PLAIN, unfreeze=2, stages=LARGE),
    "224 px, 3 blocks": replace(PLAIN, unfreeze=3, stages=LARGE),
    "224 px, 3 blocks, averaged": replace(PLAIN, unfreeze=3, stages=LARGE, averaged_steps=94),
    "224 px, 3 blocks, smaller crops": replace(
        PLAIN, unfreeze=3, stages=LARGE, augmentation=Augmentation(area=(0.25, 1.0))
    ),
    "224 px, 3 blocks, mixup": replace(PLAIN, unfreeze=3, stages=LARGE, mixup=0.2),
}


def measure(name: str, config: Config, data: Path, imagenet: Path, folder: Path) -> str:
    """A row of the table; what was trained is in `folder`."""
    request = Request(
        replace(config, backbone="imagenet"),
        data,
        "python -m benchmarks.experiments.training.finetuning",
        resume=True,
        quantize=False,
        folder=folder / name / "run",
        imagenet_weights=imagenet,
    )
    began = monotonic()
    version = train(request, Store(folder / name / "models"), folder / "data", Terminal()).version
    metrics = version.manifest.metrics["validation"]
    minutes = (monotonic() - began) / 60
    return f"| {name} | {metrics.accuracy:.2%} | {metrics.log_loss:.3f} | {metrics.photos} | {minutes:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser("python -m benchmarks.experiments.training.finetuning", description="Fine-tunes.")
    parser.add_argument("variants", nargs="*", metavar="VARIANT", help=f"of {', '.join(VARIANTS)}; default: all")
    parser.add_argument("--imagenet", type=Path, required=True, metavar="FILE", help="ImageNet's VGG16, without a head")
    parser.add_argument("--data", type=Path, default=SHARED_DATA / "cat_breeds", metavar="DIR", help="photos")
    parser.add_argument("--folder", type=Path, default=ROOT / "data" / "finetuning", metavar="DIR", help="for the runs")
    given = parser.parse_args()
    print(f"{Machine.this().where}\n\n| variant | accuracy | log-loss | photos | minutes |\n|---|---|---|---|---|")
    for name in given.variants or VARIANTS:
        print(measure(name, VARIANTS[name], given.data, given.imagenet, given.folder), flush=True)


if __name__ == "__main__":
    main()
