"""Made-up results of a benchmark run."""

from collections.abc import Mapping

from benchmarks.load.closed_loop import Load
from benchmarks.serving.comparison import Comparison, Kind
from benchmarks.serving.limits import Limit
from benchmarks.serving.rounds import CLIENTS, Open, Round
from benchmarks.serving.systems import OURS, TUTORIAL
from catdog.versions.measurements import Metrics

ANSWER = b'{"label": "cat", "probabilities": {"cat": 0.9, "dog": 0.1}}'
A_LITTLE_OTHER = b'[{"label": "cat", "probabilities": {"cat": 0.75, "dog": 0.25}}]'


TESTED = Metrics(
    photos=1000,
    accuracy=0.985,
    accuracy_low=0.975,
    accuracy_high=0.991,
    log_loss=0.05,
    calibration_error=0.01,
    precision={},
    recall={},
    data="photos",
)


def measured(
    *,
    speed: float,
    p50: float = 0.01,
    p99: float = 0.02,
    first: float = 1.0,
    resident: float = 200e6,
    failures: int = 0,
    answer: bytes = ANSWER,
) -> Round:
    """A round with the same result for every number of clients; `p99` is of the open loop, in seconds like p50."""
    load = Load(8, 100 / speed, (p50,) * 100, 0, 0.01, {0: answer, 1: answer})
    opened = Open(0.7 * speed, (p99,) * 100, failures)
    return Round(first / 2, first, dict.fromkeys(CLIENTS, load), opened, 0.01, round(resident), round(resident))


def comparison(
    kind: Kind, rounds: Mapping[str, Round], inference: float = 100.0, decoding: float = 1e6, is_shipped: bool = False
) -> Comparison:
    found = Comparison(kind, kind, "f32", 2.0, is_shipped=is_shipped, multiply_adds=970_000_000, tested=TESTED)
    found.rounds.update({name: [one] for name, one in rounds.items()})
    found.limits.append(Limit({"latency": inference / 2, "throughput": inference}, decoding))
    return found


def good() -> list[Comparison]:
    """Results that barely reach all targets."""
    tutorial = measured(speed=19, p50=0.051, first=4.1, resident=610e6)
    batching = {"LitServe": measured(speed=20), "BentoML": measured(speed=24, answer=A_LITTLE_OTHER)}
    full = {TUTORIAL: tutorial, **batching, "Ray Serve": measured(speed=18), OURS: measured(speed=97)}
    slim = {"LitServe": measured(speed=230), OURS: measured(speed=1150, first=0.4, resident=170e6)}
    return [
        comparison("slim", slim, inference=2600, decoding=2600, is_shipped=True),
        comparison("full width", full, is_shipped=True),
        comparison("without AMX", {OURS: measured(speed=96)}),
    ]
