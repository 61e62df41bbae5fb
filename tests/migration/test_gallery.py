"""Cards of the gallery that were drawn before a move, or before the keys changed, lead nowhere old after it."""

from __future__ import annotations

import html
import re

from tests.support import pictures
from tests.support.api_client import done
from tests.support.client import Scene
from tests.support.engines import CUSTOMER, SECOND_CUSTOMER
from tests.support.own_buckets import connect_own_bucket


def addresses(scene: Scene) -> list[str]:
    """What the pictures of the gallery are loaded from, as vera sees it; every one of them leads to a picture."""
    page = scene.cast.vera.browser.get(scene.cast.page("files"))
    found = [html.unescape(each) for each in re.findall(r'src="(http[^"]+)"', page.text)]
    assert found and all(scene.vera.store.get(each).status_code == 200 for each in found)
    return found


def test_a_gallery_that_was_drawn_before_the_switch_shows_the_new_addresses_after_it(scene: Scene) -> None:
    scene.bob.upload("turned.jpg", pictures.exif_orientation(6))
    scene.door.work()
    before = addresses(scene)
    assert addresses(scene) == before  # drawn once, and kept
    own = connect_own_bucket(scene.cast, activate=False)
    move = done(scene.alice.call("POST", "storage-moves", {"target_id": str(own.id)}), 201)
    scene.door.work()
    after = addresses(scene)
    assert all(f"/{own.bucket}/" in each for each in after) and not set(before) & set(after)
    done(scene.alice.call("POST", f"storage-moves/{move['id']}/confirm"))
    scene.door.work()
    assert done(scene.alice.call("GET", f"storage-moves/{move['id']}"))["state"] == "done"
    assert addresses(scene) == after


def test_a_gallery_that_was_drawn_before_the_keys_changed_is_signed_anew(scene: Scene) -> None:
    own = connect_own_bucket(scene.cast)
    scene.bob.upload("turned.jpg", pictures.exif_orientation(6))
    scene.door.work()
    assert all(CUSTOMER.access_key_id in each for each in addresses(scene))
    new = {"access_key_id": SECOND_CUSTOMER.access_key_id, "secret_access_key": SECOND_CUSTOMER.secret_access_key}
    done(scene.alice.call("PATCH", f"storage-profiles/{own.id}", new))
    assert all(SECOND_CUSTOMER.access_key_id in each for each in addresses(scene))
