"""What a candidate that runs next to the champion has shown on live photos, as the store records it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from catdog.versions.manifest import Decision
from catdog.versions.measurements import Fraction, Record

TIMED: Final = 100  # photos whose inference is timed for both versions; for the others the candidate's alone is run
LABELLED: Final = 1000  # photos with a label that count
DISAGREED: Final = 500  # of the newest photos to which the two gave different answers, for review


class Pair(NamedTuple):
    """The same number of both versions."""

    candidate: float
    champion: float


class Other(Record):
    """The candidate's answer to a photo that the champion answered in another way."""

    label: str
    probability: Fraction
    unknown: bool


class Seen(NamedTuple):
    """What both versions said to one live photo."""

    agree: bool  # on the most probable class, and neither called it unknown
    candidate_unknown: bool
    champion_unknown: bool
    seconds: Pair | None = None  # of inference, if both were timed
    disagreed: tuple[str, Other] | None = None  # the id of the prediction, and the candidate's other answer


class Said(Record):
    """One version's answer to a photo whose class is known."""

    right: bool
    probability: Fraction  # of the class that it named
    of_truth: Fraction  # its probability of the true class


class Labelled(Record):
    """Both answers to a photo that feedback has labelled."""

    candidate: Said
    champion: Said


class Trial(Record):
    """A candidate's trial next to the champion. Times are seconds since 1970."""

    version: PositiveInt  # the candidate
    champion: PositiveInt  # that it runs beside
    began_at: float
    photos: NonNegativeInt = 0  # live photos that both answered
    agreed: NonNegativeInt = 0  # of these, with the same class, and not unknown
    both_unknown: NonNegativeInt = 0
    candidate_unknown: NonNegativeInt = 0  # by the candidate alone
    champion_unknown: NonNegativeInt = 0  # by the champion alone
    candidate_seconds: tuple[NonNegativeFloat, ...] = ()  # of inference, for the first TIMED photos
    champion_seconds: tuple[NonNegativeFloat, ...] = ()  # for the same photos
    labelled: dict[str, Labelled] = Field(default_factory=dict)  # by the id of the prediction
    disagreed: dict[str, Other] = Field(default_factory=dict)  # by the id of the prediction
    decision: Decision | None = None  # once it is made
    ended_at: float | None = None
    promoted: bool = False

    @property
    def is_running(self) -> bool:
        return self.ended_at is None

    @property
    def unknown(self) -> Pair:
        """The shares of photos that each called unknown, 0-1; 0 without photos."""
        photos = max(1, self.photos)
        counts = (self.both_unknown + alone for alone in (self.candidate_unknown, self.champion_unknown))
        return Pair(*(count / photos for count in counts))

    @property
    def known(self) -> int:
        """The number of photos that neither called unknown."""
        return self.photos - self.both_unknown - self.candidate_unknown - self.champion_unknown

    @property
    def agreement(self) -> float:
        """The share of the known photos to which both gave the same class, 0-1; 0 without photos."""
        return self.agreed / max(1, self.known)

    def after(self, seen: Sequence[Seen], labelled: Mapping[str, Labelled]) -> Self:
        """The trial with more photos, and with labels; a label replaces an earlier one of the same prediction."""
        alone = [one.candidate_unknown - one.champion_unknown for one in seen]
        timed = [one.seconds for one in seen if one.seconds is not None][: TIMED - len(self.candidate_seconds)]
        labels = dict(list({**self.labelled, **labelled}.items())[-LABELLED:])
        others = {**self.disagreed, **dict(one.disagreed for one in seen if one.disagreed is not None)}
        return self.model_copy(
            update={
                "photos": self.photos + len(seen),
                "agreed": self.agreed + sum(one.agree for one in seen),
                "both_unknown": self.both_unknown + sum(one.candidate_unknown and one.champion_unknown for one in seen),
                "candidate_unknown": self.candidate_unknown + alone.count(1),
                "champion_unknown": self.champion_unknown + alone.count(-1),
                "candidate_seconds": (*self.candidate_seconds, *(pair.candidate for pair in timed)),
                "champion_seconds": (*self.champion_seconds, *(pair.champion for pair in timed)),
                "labelled": labels,
                "disagreed": dict(list(others.items())[-DISAGREED:]),
            }
        )

    def without(self, predictions: Collection[str]) -> Self:
        """The trial without what it says of these predictions; the sums stay."""
        kept = {
            name: {one: said for one, said in getattr(self, name).items() if one not in predictions}
            for name in ("labelled", "disagreed")
        }
        return self.model_copy(update=kept)

    def decided(self, decision: Decision) -> Self:
        """The trial with a decision that is still to be carried out."""
        return self.model_copy(update={"decision": decision})

    def ended(self, at: float, reason: str | None = None, promoted: bool = False) -> Self:
        """The trial after its end; with a `reason`, that is why it ended without a promotion by the rule.

        The single answers are dropped: their numbers are in the decision.
        """
        told = self.decision
        if reason is not None:
            rules, photos = ((), self.photos) if told is None else (told.rules, told.photos)
            told = Decision(promote=False, reason=reason, champion=self.champion, photos=photos, rules=rules)
        nothing: dict[str, object] = {"labelled": {}, "disagreed": {}, "candidate_seconds": (), "champion_seconds": ()}
        return self.model_copy(update={**nothing, "decision": told, "ended_at": at, "promoted": promoted})
