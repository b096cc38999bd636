"""The configuration of a training, as data."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from json import dumps
from typing import Literal, Self

from catdog.network.architecture import Head
from training.fitting.augmentation import Augmentation

Strategy = Literal["head", "finetune", "full", "compress"]

LEAST_EPOCHS, MOST_EPOCHS = 3, 30  # limits if the number of photos decides


@dataclass(frozen=True)
class Stage:
    """Epochs at one picture size, RGB (pixels, pixels, 3); `augmentation` overrides that of the whole training."""

    pixels: int
    epochs: int
    batch_size: int
    augmentation: Augmentation | None = None


@dataclass(frozen=True)
class Config:
    """A training. `stages` and the fields after it don't apply to "head", which is fitted exactly.

    strategy      "head" fits a linear head on a frozen backbone; "finetune" then trains the last blocks;
                  "full" trains every layer, with batch normalisation; "compress" trains a smaller network to
                  answer like a version
    backbone      the initial convolutions: "auto" is the champion's for the champion's own classes, ImageNet's
                  for others; or "champion", "imagenet", "random", a version's number or an .h5 file. For
                  "compress" the version to answer like: "champion" or a number
    width         of a random backbone or of a compressed network; every other has a fixed width
    multiply_adds of a compressed network, as a share of the version's; it then has more channels where they matter
                  more. None: `width` determines them
    views         augmented views of each photo that the compressed network learns the version's answers for
    unfreeze      the number of the five blocks that "finetune" trains, from the last
    steps         batches in total, as far as LEAST_EPOCHS to MOST_EPOCHS allow, divided among the stages in proportion
                  to their epochs. None: the epochs of the stages
    learning_rate at its peak: warmed up over `warmup_steps`, then one cosine to zero over all stages
    weight_decay  of kernels only (Loshchilov & Hutter, "Decoupled Weight Decay Regularization", 2019)
    averaged_steps  steps over which weights are averaged, exponentially; the average is validated and kept.
                  None: no averaging
    mixup         each batch is blended with a permutation of itself, with shares from Beta(mixup, mixup); 0: never
                  (Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018)
    patience      epochs of the last stage without a better validation log-loss before it stops; None: never
    policy        Keras's dtype policy
    validation_share  of the photos, split off by content if the data set has no validation split
    left_out      prefixes of the sha256 of photos that are not used, such as those with a wrong label
    """

    strategy: Strategy = "head"
    backbone: str = "auto"
    head: Head = "pooled"
    width: float = 1.0
    multiply_adds: float | None = None
    views: int = 4
    unfreeze: int = 1
    stages: tuple[Stage, ...] = (Stage(224, 10, 32),)
    steps: int | None = None
    learning_rate: float = 1e-4
    warmup_steps: int = 100
    weight_decay: float = 0.01
    averaged_steps: int | None = None
    mixup: float = 0.0
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
        """sha256 over all fields."""
        return sha256(dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def with_epochs(self, epochs: int) -> Self:
        """A copy with `epochs` in total, divided among the stages in the present proportions."""
        return replace(self, steps=None, stages=share_out(epochs, self.stages))

    def with_batch_size(self, photos: int) -> Self:
        """A copy with `photos` per step in every stage."""
        return replace(self, stages=tuple(replace(stage, batch_size=photos) for stage in self.stages))

    def suited_to(self, photos: int) -> Self:
        """A copy with as many epochs as make `steps` with this number of training photos."""
        if self.steps is None:
            return self
        epochs = round(self.steps * self.stages[-1].batch_size / max(1, photos))
        return self.with_epochs(min(max(epochs, LEAST_EPOCHS), MOST_EPOCHS))


def share_out(epochs: int, stages: Sequence[Stage]) -> tuple[Stage, ...]:
    """`epochs` divided among the stages in the present proportions; with too few the first stages get none."""
    total = sum(stage.epochs for stage in stages)
    shared, given = [], 0
    for done, stage in enumerate(stages, start=1):
        share = epochs * sum(s.epochs for s in stages[:done]) // total - given
        given += share
        if share:
            shared.append(replace(stage, epochs=share))
    return tuple(shared)
