"""Pages: what they carry, and how they refuse."""

from __future__ import annotations

from tests.support.people import Cast, Client


def test_a_page_carries_the_strict_policy_and_stays_out_of_caches(cast: Cast) -> None:
    answer = cast.alice.browser.get(cast.page("files"))
    assert answer.status_code == 200, answer.text
    store = cast.app.extensions["portal.settings"].s3_public_endpoint
    assert answer.headers["Content-Security-Policy"] == (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob: {store}; "
        f"media-src {store}; connect-src 'self' {store}; font-src 'self'; worker-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "HX-Request" in answer.headers["Vary"]
    assert "Strict-Transport-Security" not in answer.headers


def test_every_page_of_a_person_opens(cast: Cast) -> None:
    for address in ("/workspaces", "/account/tokens", cast.page("files"), cast.page("trash")):
        answer = cast.alice.browser.get(address)
        assert answer.status_code == 200, (address, answer.text[-2000:])
    for address in (f"/t/{cast.acme.slug}/overview", f"/t/{cast.acme.slug}/quarantine"):
        answer = cast.tina.browser.get(address)
        assert answer.status_code == 200, (address, answer.text[-2000:])


def test_home_leads_to_the_only_workspace_or_the_choice(cast: Cast) -> None:
    assert cast.alice.browser.get("/").location == cast.page("files")
    assert cast.tina.browser.get("/").location == "/workspaces"


def test_an_error_is_a_page_with_a_code_to_quote(cast: Cast) -> None:
    answer = cast.alice.browser.get("/no/such/page")
    assert answer.status_code == 404
    assert answer.mimetype == "text/html"
    assert answer.headers["X-Request-ID"] in answer.text


def test_another_host_is_led_to_ours_except_for_probes(cast: Cast) -> None:
    client = Client(cast.app)
    base = cast.app.extensions["portal.settings"].base_url
    for method in ("GET", "POST"):
        answer = client.open("/workspaces?a=%20b", method=method, base_url="http://127.0.0.1:1")
        assert answer.status_code == 307
        assert answer.location == f"{base}/workspaces?a=%20b"
    assert client.get("//evil.example/x", base_url="http://elsewhere").location.startswith(f"{base}/")
    assert client.get("/healthz", base_url="http://10.0.0.1").status_code == 200


def test_a_static_file_is_kept_for_ever_under_its_content(cast: Cast) -> None:
    with cast.app.test_request_context():
        address = cast.app.url_for("static", filename="js/app.js")
    assert "?v=" in address
    assert "immutable" in cast.nobody.get(address, buffered=True).headers["Cache-Control"]
    assert cast.nobody.get("/static/js/app.js", buffered=True).headers["Cache-Control"] == "no-cache"


def test_htmx_is_led_to_login_by_its_header(cast: Cast) -> None:
    asked = {"HX-Request": "true", "HX-Current-URL": "http://localhost/t/a/w/b/files?q=1"}
    answer = cast.nobody.get(cast.page("files"), headers=asked)
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == "/login?next=/t/a/w/b/files?q%3D1"


def test_a_part_that_fails_answers_with_words_a_script_can_show(cast: Cast) -> None:
    answer = cast.alice.browser.get(cast.page("no-such"), headers={"HX-Request": "true", "HX-Target": "asset-1"})
    assert answer.status_code == 404
    assert answer.mimetype == "application/problem+json"
    assert answer.get_json()["detail"]
