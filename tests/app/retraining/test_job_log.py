"""The service's log says when a training starts and ends."""

import logging

import pytest

from catdog.jobs.job import Status
from catdog.jobs.queue import Jobs
from tests.app.service import Service
from tests.waiting import until


def test_the_start_and_the_end_of_a_training_are_logged(keeper: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    jobs: Jobs = keeper.app.state.database.jobs

    for status, words, level in (
        (Status.SUCCEEDED, "succeeded: version 2", "INFO"),
        (Status.FAILED, "failed: no luck", "ERROR"),
        (Status.CANCELLED, "was cancelled: by the test", "INFO"),
    ):
        job = jobs.submit({"dataset": "pets", "strategy": "head", "promote": "never"})
        lease = jobs.claim("the test")
        assert lease is not None
        about = f"training {job.id} (head on the data set pets)"
        until(lambda about=about: f"{about} started" in caplog.text)  # type: ignore[misc]
        lease.end(status, words.partition(": ")[2])
        until(lambda about=about, words=words: f"{about} {words}" in caplog.text)  # type: ignore[misc]
        assert [record.levelname for record in caplog.records if words in record.getMessage()] == [level]
