from benchmarks.experiments.replicas import simulate


def test_replicas_that_wait_for_their_turn_load_a_few_at_once() -> None:
    waiting, at_once = simulate(100, 2.5, spread=12, files=15), simulate(100, 2.5, spread=0, files=15)

    assert at_once.most_loading == 1.0
    assert waiting.most_loading < 0.25
    assert waiting.most_after < at_once.most_after / 3
    assert at_once.seconds < waiting.seconds < 12 * 2.5 + 10


def test_at_rest_a_replica_asks_about_once_a_second() -> None:
    assert 70 < simulate(100, 0.2, spread=12, files=15).at_rest <= 134
