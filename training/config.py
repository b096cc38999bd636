"""What one training does: every choice that bears on the result, as data."""

from dataclasses import asdict, dataclass, field
from hashlib import sha256
from json import dumps
from typing import Literal

from catdog.architecture import Head
from training.augmentation import Augmentation

Strategy = Literal["head", "finetune", "full"]


@dataclass(frozen=True)
class Stage:
    """Epochs at one picture size, RGB (pixels, pixels, 3); `augmentation` where it isn't that of the whole training."""

    pixels: int
    epochs: int
    batch_size: int
    augmentation: Augmentation | None = None


@dataclass(frozen=True)
class Config:
    """A training. `stages` and what follows concern "finetune" and "full"; a head is fitted exactly.

    strategy      "head" fits a linear head on a frozen backbone; "finetune" goes on with the last blocks;
                  "full" trains every layer, with batch normalisation
    backbone      where the convolutions start: "auto" is the champion's for the champion's own classes, ImageNet's
                  for others; or "champion", "imagenet", "random", a version's number or an .h5 file
    width         of a random backbone; any other brings its own
    unfreeze      how many of the five blocks "finetune" trains, from the last
    learning_rate at its peak: warmed up over `warmup_steps`, then one cosine to zero over all stages
    weight_decay  of kernels alone (Loshchilov & Hutter, "Decoupled Weight Decay Regularization", 2019)
    patience      epochs of the last stage without a better validation log-loss before it ends; None: never
    policy        Keras's dtype policy
    validation_share  of the photos, split off by content where the data set brings no validation split
    left_out      beginnings of the sha256 of photos that are not used, such as those under a wrong class
    """

    strategy: Strategy = "head"
    backbone: str = "auto"
    head: Head = "pooled"
    width: float = 1.0
    unfreeze: int = 1
    stages: tuple[Stage, ...] = (Stage(224, 10, 32),)
    learning_rate: float = 1e-4
    warmup_steps: int = 100
    weight_decay: float = 0.01
    label_smoothing: float = 0.0
    dropout: float = 0.2
    patience: int | None = 3
    policy: str = "mixed_bfloat16"
    augmentation: Augmentation = field(default_factory=Augmentation)
    validation_share: float = 0.1
    left_out: tuple[str, ...] = ()
    seed: int = 0

    @property
    def fingerprint(self) -> str:
        """sha256 of every choice."""
        return sha256(dumps(asdict(self), sort_keys=True).encode()).hexdigest()
