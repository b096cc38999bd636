"""The end of a training: a person reads the result, tries the version, and uses or discards it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from catdog.jobs.job import Status
from catdog.jobs.queue import Jobs
from catdog.versions.manifest import Decision, Rule
from tests.app.service import Service, publish
from tests.app.ui.browsing import file, give_key, seen, shot, visiting
from tests.waiting import until

pytestmark = pytest.mark.browser

RECALL = Rule(
    name="recall of cat",
    passed=False,
    candidate=0.4,
    champion=0.5,
    limit=0.48,
    sentence="recall of cat 40.0% against 50.0%, where 48.0% is the limit",
)
ACCURACY = Rule(
    name="accuracy",
    passed=True,
    candidate=0.52,
    champion=0.5,
    chance=0.9,
    sentence="accuracy 52.0% against 50.0% of 100 photos (p = 0.9)",
)
KEPT_OUT = Decision(
    promote=False, reason=f"not promoted: {RECALL.sentence}", champion=1, photos=100, rules=(ACCURACY, RECALL)
)
OTHER_CLASSES = Decision(promote=False, reason="not promoted: its classes are cat, dog, fish", champion=1)
PASSED = Decision(promote=True, reason=f"promoted: {ACCURACY.sentence}", champion=1, photos=100, rules=(ACCURACY,))


@pytest.fixture
def page(browser: Browser, taught: Service) -> Iterator[Page]:
    with visiting(browser, taught.app.state.settings.address) as page:
        yield page


def trained(service: Service, decision: Decision, classes: tuple[str, ...] = ("cat", "dog")) -> int:
    """A training that has ended with a version, which it didn't promote; the version's number."""
    jobs: Jobs = service.app.state.database.jobs
    jobs.submit({"dataset": "pets", "strategy": "head", "promote": "auto"})
    lease = jobs.claim("the test")
    assert lease is not None
    number = publish(service.app.state.settings.models_dir, classes, seed=8, decision=decision)
    said = {**decision.model_dump(mode="json"), "promoted": False}
    lease.end(Status.SUCCEEDED, decision.reason, version=number, decision=said)
    return number


def teach(page: Page) -> None:
    page.get_by_role("link", name="Teach").click()
    expect(seen(page, "The training is done")).to_be_visible()


def test_a_version_that_is_kept_out_is_explained_by_rule_number_limit_and_help(page: Page, taught: Service) -> None:
    trained(taught, KEPT_OUT)

    teach(page)

    expect(page.get_by_role("heading", name="The newest training")).to_be_visible()
    result = page.locator(".outcome")
    expect(result).to_contain_text("50.0% accuracy on 100 validation photos (95% interval: 40.0% to 60.0%)")
    expect(result).to_contain_text(
        "Not promoted: its recall of cat is 40.0% on 100 test photos, and the limit is 48.0% (version 1 has 50.0%);"
        " more training photos of cat, or corrected labels among them, would help."
    )
    rules = result.get_by_role("table", name="on the same 100 test photos")
    expect(rules.get_by_role("columnheader")).to_have_text(["Rule", "Version 2", "Version 1", "Limit"])
    expect(rules.get_by_role("row", name="recall of cat")).to_contain_text("failed40.0%50.0%at least 48.0%")
    expect(rules.get_by_role("row", name="accuracy")).to_contain_text("accuracy52.0%50.0%")
    shot(page, "kept-out")


def test_a_version_is_tried_next_to_the_one_in_service(page: Page, taught: Service, jpeg: bytes) -> None:
    trained(taught, OTHER_CLASSES, ("cat", "dog", "fish"))
    teach(page)
    expect(seen(page, "no rule can compare the two. Try it")).to_be_visible()

    page.get_by_role("button", name="Try it").click()
    give_key(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Cat, dog or fish?")
    page.reload()
    expect(seen(page, "It knows cat, dog and fish.")).to_be_visible()
    page.get_by_label("Choose photos").set_input_files(file("one.jpg", jpeg))

    answer = page.get_by_role("list", name="Answers").locator("> li")
    expect(answer).to_contain_text("one.jpg · version 2")
    usual = taught.client.post("/predict", content=jpeg).json()
    expect(answer).to_contain_text(f"Version 1, which is in service: {usual['label']}, ")
    expect(answer.locator(".bars .label")).to_have_text(["cat", "dog", "fish"])
    shot(page, "trying")

    page.get_by_role("button", name="Stop trying").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Cat or dog?")
    until(lambda: list(taught.predictor.versions) == [1])


def test_a_version_is_put_into_service_after_it_was_tried(page: Page, taught: Service) -> None:
    trained(taught, KEPT_OUT)
    teach(page)
    page.get_by_role("button", name="Try it").click()
    give_key(page)

    page.get_by_role("button", name="Use it").click()

    expect(page.locator("#champion")).to_contain_text("Version 2 serves")
    expect(seen(page, "You are asking version 2")).to_be_hidden()
    assert taught.client.get("/model").json()["version"] == 2
    page.get_by_role("link", name="Teach").click()
    page.get_by_role("button", name="Roll back to the previous version").click()
    expect(page.locator("#champion")).to_contain_text("Version 1 serves")
    expect(page.get_by_role("button", name="Use it")).to_be_visible()


def test_a_version_is_discarded_once_the_user_has_agreed(page: Page, taught: Service) -> None:
    trained(taught, KEPT_OUT)
    teach(page)
    discard = page.get_by_role("button", name="Discard: delete version 2")

    discard.click()
    page.get_by_role("dialog", name="Delete version 2?").get_by_role("button", name="Cancel").click()
    assert len(taught.client.get("/models").json()["versions"]) == 2
    discard.click()
    page.get_by_role("dialog", name="Delete version 2?").get_by_role("button", name="Delete it").click()
    give_key(page)

    expect(seen(page, "Version 2 was deleted.")).to_be_visible()
    assert [each["version"] for each in taught.client.get("/models").json()["versions"]] == [1]


def test_a_step_that_fails_says_why_and_leaves_the_others(page: Page, taught: Service) -> None:
    trained(taught, KEPT_OUT)
    teach(page)
    (taught.app.state.settings.models_dir / "2" / "model.weights.h5").write_bytes(b"damaged")

    page.get_by_role("button", name="Use it").click()
    give_key(page)

    expect(page.locator(".actions .fault")).to_contain_text("ersion 2")
    assert taught.client.get("/model").json()["version"] == 1
    expect(page.get_by_role("button", name="Discard")).to_be_visible()


def test_what_a_step_reported_stays_when_the_page_hears_again_of_the_same_version(page: Page, taught: Service) -> None:
    trained(taught, KEPT_OUT)
    (taught.app.state.settings.models_dir / "2" / "model.weights.h5").write_bytes(b"damaged")
    slow: list[Route] = []
    page.route("**/model", lambda route: slow.append(route))
    teach(page)
    page.get_by_role("button", name="Use it").click()
    give_key(page)
    expect(page.locator(".actions .fault")).to_contain_text("ersion 2")

    with page.expect_response("**/model"):
        slow.pop().continue_()
    page.evaluate("fetch('models/2')")  # comes back after what the page itself requests on that answer

    expect(page.locator(".actions .fault")).to_contain_text("ersion 2")


def test_a_training_that_only_publishes_says_that_its_version_passed(page: Page, taught: Service) -> None:
    trained(taught, PASSED)

    teach(page)

    expect(
        seen(page, "It passed every rule. It isn’t in service because the training only publishes it.")
    ).to_be_visible()


def test_past_trainings_are_listed_and_each_can_be_opened(page: Page, taught: Service) -> None:
    trained(taught, KEPT_OUT)
    trained(taught, PASSED)
    teach(page)
    trainings = page.get_by_role("list", name="Trainings").get_by_role("listitem")
    expect(trainings).to_contain_text(["Version 3, not promoted", "Version 2, not promoted"])

    trainings.nth(1).get_by_role("button").click()

    expect(page.get_by_role("heading", name="An earlier training")).to_be_focused()
    expect(seen(page, "Not promoted: its recall of cat")).to_be_visible()
    expect(trainings.nth(1).get_by_role("button")).to_have_attribute("aria-pressed", "true")
    shot(page, "past-trainings")
