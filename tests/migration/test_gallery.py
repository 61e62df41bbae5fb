"""The pictures of the gallery are where they lie after a move to another storage, and after a change of keys."""

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


def test_after_the_switch_the_gallery_shows_the_new_addresses(scene: Scene) -> None:
    scene.bob.upload("turned.jpg", pictures.exif_orientation(6))
    scene.site.run_jobs()
    before = addresses(scene)
    assert addresses(scene) == before  # the same within a window, so that browsers keep the pictures
    own = connect_own_bucket(scene.cast, activate=False)
    move = done(scene.alice.call("POST", "storage-moves", {"target_id": str(own.id)}), 201)
    scene.site.run_jobs()
    after = addresses(scene)
    assert all(f"/{own.bucket}/" in each for each in after) and not set(before) & set(after)
    done(scene.alice.call("POST", f"storage-moves/{move['id']}/confirm"))
    scene.site.run_jobs()
    assert done(scene.alice.call("GET", f"storage-moves/{move['id']}"))["state"] == "done"
    assert addresses(scene) == after


def test_after_a_change_of_keys_the_gallery_is_signed_anew(scene: Scene) -> None:
    own = connect_own_bucket(scene.cast)
    scene.bob.upload("turned.jpg", pictures.exif_orientation(6))
    scene.site.run_jobs()
    assert all(CUSTOMER.access_key_id in each for each in addresses(scene))
    new = {"access_key_id": SECOND_CUSTOMER.access_key_id, "secret_access_key": SECOND_CUSTOMER.secret_access_key}
    done(scene.alice.call("PATCH", f"storage-profiles/{own.id}", new))
    assert all(SECOND_CUSTOMER.access_key_id in each for each in addresses(scene))
