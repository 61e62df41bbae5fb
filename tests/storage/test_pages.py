"""The pages of storage: connecting in a form, what they show, and what a page may load from."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from werkzeug.test import TestResponse

from portal.storage.models import AddressingStyle
from portal.storage.presets import PRESETS
from tests.support.engines import CANARY, CUSTOMER, SECOND_CUSTOMER
from tests.support.own_buckets import connect_own_bucket, long_inactive, make_bucket, see_it_work
from tests.support.people import Cast


def form(cast: Cast, **changes: str) -> dict[str, str]:
    """The connect form as a browser sends it."""
    settings = cast.app.extensions["portal.settings"]
    values = {
        "bucket": make_bucket(settings),
        "endpoint": settings.s3_endpoint,
        "region": "",
        "key_prefix": "stowage/press",
        "name": "",
        "addressing_style": "path",
        "encryption": "",
        "kms_key_id": "",
        "access_key_id": CUSTOMER.access_key_id,
        "secret_access_key": CANARY,
    }
    return values | changes


def connected(cast: Cast, **changes: str) -> str:
    """The address of the page of a new bucket."""
    answer = cast.alice.browser.post(cast.page("storage/new?preset=minio"), data=form(cast, **changes))
    assert answer.status_code == 303, answer.text
    return str(answer.location)


def test_an_owner_finds_storage_in_the_sidebar_and_others_do_not(cast: Cast) -> None:
    link = f'href="{cast.page("storage")}"'
    assert link in cast.alice.browser.get(cast.page("files")).text
    assert link not in cast.bob.browser.get(cast.page("files")).text
    assert cast.bob.browser.get(cast.page("storage")).status_code == 403


def test_the_list_explains_own_buckets_and_each_store_has_its_help(cast: Cast) -> None:
    assert "Bring your own bucket" in cast.alice.browser.get(cast.page("storage")).text
    for preset in PRESETS:
        page = cast.alice.browser.get(cast.page(f"storage/new?preset={preset.code}"))
        assert page.status_code == 200 and "Where to find this" in page.text
        assert all(str(step)[:20].replace("'", "&#39;") in page.text for step in preset.steps)


def test_a_bucket_is_connected_in_one_form_and_the_secret_is_never_shown(cast: Cast) -> None:
    page = cast.alice.browser.get(connected(cast))
    assert page.status_code == 200
    assert "CUST…6789" in page.text and CANARY not in page.text
    assert "Send new files here" not in page.text  # not before the test has passed


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("endpoint", "https://169.254.169.254", "is not a public address"),
        ("key_prefix", "/press", "begins without a slash"),
        ("bucket", "", "Enter the bucket"),
        ("secret_access_key", "", "Enter the secret"),
        ("access_key_id", "a b", "Copy it once more"),
    ],
)
def test_errors_are_shown_at_their_field_and_the_entered_values_stay(
    cast: Cast, field: str, value: str, words: str
) -> None:
    sent = form(cast, **{field: value})
    answer = cast.alice.browser.post(cast.page("storage/new?preset=minio"), data=sent)
    assert answer.status_code == 422 and words in answer.text
    assert f'aria-describedby="{field}-note"' in answer.text
    assert sent["access_key_id"] in answer.text and CANARY not in answer.text


def test_a_prefix_that_is_connected_already_is_refused_in_the_form(cast: Cast) -> None:
    profile = connect_own_bucket(cast, activate=False)
    answer = cast.alice.browser.post(
        cast.page("storage/new"), data=form(cast, bucket=str(profile.bucket), key_prefix="team")
    )
    assert answer.status_code == 422 and "already connected" in answer.text


def test_a_profile_is_edited_given_new_keys_activated_and_disconnected(cast: Cast) -> None:
    one = connected(cast)
    profile_id = UUID(one.rpartition("/")[2])
    browser = cast.alice.browser
    edited = browser.post(f"{one}/edit", data=form(cast, name="Our bucket", key_prefix="stowage/other"))
    assert edited.status_code == 303
    keys = {"access_key_id": SECOND_CUSTOMER.access_key_id, "secret_access_key": SECOND_CUSTOMER.secret_access_key}
    assert browser.post(f"{one}/keys", data=keys).status_code == 303
    assert "CUST…3210" in browser.get(one).text and "Our bucket" in browser.get(one).text
    assert "Test it" in followed(browser, browser.post(f"{one}/activate"))
    see_it_work(cast, profile_id)
    shown = browser.get(one).text
    assert "Send new files to “Our bucket”?" in shown and "0 files stay in “Managed storage”" in shown
    assert "New files go to “Our bucket”" in followed(browser, browser.post(f"{one}/activate"))
    managed = next(each["id"] for each in cast.alice.api.get(cast.url("storage-profiles")).get_json()["items"][1:])
    browser.post(cast.page(f"storage/{managed}/activate"))
    long_inactive(cast, profile_id)
    assert "Nothing in it was changed" in followed(browser, browser.post(f"{one}/retire"))
    assert browser.get(one).status_code == 404


def followed(browser: Any, answer: TestResponse) -> str:
    """The page that a redirect leads to."""
    assert answer.status_code == 303
    return str(browser.get(answer.location).text)


def policy(answer: TestResponse) -> dict[str, set[str]]:
    """The Content-Security-Policy of an answer."""
    rules = (rule.split() for rule in answer.headers["Content-Security-Policy"].split(";"))
    return {name: set(values) for name, *values in rules}


def test_a_page_may_load_from_the_stores_of_its_workspace_and_no_others(cast: Cast) -> None:
    before = policy(cast.vera.browser.get(cast.page("files")))
    active = connect_own_bucket(cast, bucket="acme-active", endpoint="https://s3.example.com")
    connect_own_bucket(
        cast,
        bucket="acme-archive",
        endpoint="https://objects.example.org:9000",
        addressing_style=AddressingStyle.VIRTUAL,
        activate=False,
    )
    connect_own_bucket(cast, bucket="acme-amazon", endpoint=None, region="eu-west-1", activate=False)
    answer = cast.vera.browser.get(cast.page("files"))
    theirs = {
        "https://s3.example.com",
        "https://acme-archive.objects.example.org:9000",
        "https://acme-amazon.s3.eu-west-1.amazonaws.com",
    }
    for name in ("img-src", "connect-src", "media-src"):
        assert policy(answer)[name] == before[name] | theirs
    assert set(answer.headers["Stowage-Stores"].split()) == theirs
    assert all(origin in answer.text for origin in theirs)  # read by the script that swaps pages
    lair = cast.mallory.browser.get(f"/t/{cast.evil.slug}/w/{cast.lair.slug}/files")
    assert policy(lair) == before and "Stowage-Stores" not in lair.headers
    assert active.active
