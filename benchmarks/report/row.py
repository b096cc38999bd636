"""One row of the table of targets."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One number of ours beside its target; `n` says of how many it is, `against` whose number it is compared with."""

    what: str
    ours: float | None  # None where it could not be measured, as in `against`
    n: str
    target: str
    reached: bool
    against: tuple[str, float | None] | None = None
    ratio: float | None = None  # how many times better ours is
    is_bound: bool = False  # the ratio is at least that

    @property
    def ratio_text(self) -> str:
        """With two digits where ours isn't even twice as good."""
        if self.ratio is None:
            return ""
        return f"{'over ' if self.is_bound else ''}{self.ratio:.{2 if self.ratio < 2 else 1}f}x"
