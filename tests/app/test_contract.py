"""Requests that the OpenAPI document allows are answered as it describes, and never with status 500."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import CHECKS

from tests.app.service import ADMIN, publish, serving
from tests.waiting import until

EXAMPLES = 20  # requests per address
# What the document can't express: required headers other than the key, and that unknown names are refused.
BESIDE = ("ignored_auth", "positive_data_acceptance", "negative_data_rejection", "missing_required_header")


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Iterator[schemathesis.BaseSchema]:
    """The document of a separate service without workers, because requests change its data."""
    models_dir: Path = tmp_path_factory.mktemp("models")
    publish(models_dir)
    with serving(models_dir, worker="none") as service:
        until(lambda: service.client.get("/health/ready").is_success)
        yield schemathesis.openapi.from_url(f"{service.client.base_url}/openapi.json")


@pytest.mark.whole
def test_every_address_answers_as_the_document_says(
    document: schemathesis.BaseSchema, subtests: pytest.Subtests
) -> None:
    excluded: list[Any] = [CHECKS.get_one(name) for name in BESIDE]

    for found in document.get_all_operations():
        operation = found.ok()  # type: ignore[union-attr]  # an invalid one would raise, and should

        @settings(
            max_examples=EXAMPLES,
            phases=(Phase.explicit, Phase.generate),
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case: schemathesis.Case[Any]) -> None:
            case.call_and_validate(headers=ADMIN, excluded_checks=excluded, timeout=30)

        with subtests.test(operation.label):
            ask()
