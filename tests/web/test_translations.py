"""Every text can be translated: pages, problems and e-mails are read in a language where each is marked.

What code paths a test does not reach is read in the source: the texts of templates, and of errors and messages.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from flask import Flask
from jinja2 import Environment

from portal.admin import service as admin
from portal.app import create_app
from portal.errors import Conflict
from portal.identity import service as identity
from portal.inspection import file_kinds, scanner_status
from portal.inspection.scan_result import report_on
from portal.lifecycle.periodic_tasks import PERIODIC_TASKS
from portal.mail.rendering import render
from portal.mail.service import Addressee
from portal.queue import LANES
from portal.storage import presets
from portal.texts import Text
from portal.usage import operator_report
from portal.web.languages import CATALOGUES
from tests.architecture.test_routes import address, is_json, routes
from tests.mail.test_templates import CONTEXTS
from tests.support.engines import TestEngines
from tests.support.factories import make_asset
from tests.support.people import Actor, Cast, make_cast
from tests.support.processes import close
from tests.support.pseudo_language import TAG, texts_of_scripts, texts_on, untranslated, write_catalogue

ROOT = Path(__file__).parent.parent.parent
# The command line and what only its processes say is English (docs/adr/0017).
ENGLISH_ONLY = ("commands", "cli.py", "embedded", "settings.py", "scheduler.py", "worker.py", "__main__.py", "backup")
SIGNATURES = "27817/Mon Nov 23 10:24:00 2026"
# Names and data that stand on any page.
DATA = (
    SIGNATURES,
    *("PPMd", "LZMA2", "LZMA", "BZip2", "Deflate64", "Deflate", "BCJ2", "BCJ", "gzip", "xz"),
    *("Stowage", "ClamAV", "EICAR", "freshclam", "Firefox", "Linux", "English", "Esperanto"),
    *("UTC", "CSV", "JSON", "SHA-256", "webhook-id", "Esc", "Files"),
    "Standard",  # S3's name of a storage class
    *(preset.name for preset in presets.PRESETS if isinstance(preset.name, str)),
    *(" ".join(kind.types) for kind in file_kinds.POLICY),
    *PERIODIC_TASKS,
    *LANES,
)


@pytest.fixture(scope="module")
def translated(engines: TestEngines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """A portal that knows a second language."""
    app = create_app(engines.settings(), catalogues=write_catalogue(tmp_path_factory.mktemp("catalogues")))
    yield app
    close(app)


@pytest.fixture(scope="module")
def readers(translated: Flask) -> Cast:
    """People who have chosen that language."""
    cast = make_cast(translated)
    with translated.app_context():
        for each in cast.everybody:
            identity.choose_language(each.id, TAG)
        report = report_on("ClamAV", SIGNATURES, eicar="Eicar", nested="Heuristics.Limits", readable=frozenset())
        scanner_status.save(report)
    return cast


def names_of(cast: Cast) -> list[str]:
    """The data of these people: their names, addresses and places."""
    people = [value for actor in cast.everybody for value in (actor.name, actor.email)]
    places = [value for place in (cast.acme, cast.press, cast.evil, cast.lair) for value in (place.name, place.slug)]
    return [*people, *places, *DATA]


PAGES = (
    ("account.index", "alice"),
    ("tokens.index", "alice"),
    ("quotas.show_help", "alice"),
    ("workspaces.index", "alice"),
    ("library.index", "alice"),
    ("library.index", "vera"),
    ("trash.index", "alice"),
    ("folders.new", "alice"),
    ("folders.new_library", "alice"),
    ("usage.ask_form", "alice"),
    ("storage.index", "alice"),
    ("storage.new", "alice"),
    ("migration.index", "alice"),
    ("password_reset.ask", "alice"),
    ("members.index", "alice"),
    ("people.index", "tina"),
    ("workspace_settings.new", "tina"),
    ("workspace_settings.show", "alice"),
    ("audit_log.index", "tina"),
    ("tenants.overview", "tina"),
    ("quarantine.index", "tina"),
    ("quarantine.rules", "tina"),
    ("usage.index", "tina"),
    ("usage_reports.show", "tina"),
    ("operations.tenant_scanner", "tina"),
    ("webhooks.index", "tina"),
    ("webhooks.new", "tina"),
    ("operations.index", "mallory"),
    ("operations.scanner", "mallory"),
    ("usage_operator.index", "mallory"),
    ("emails.index", "mallory"),
)


@pytest.mark.parametrize(("endpoint", "name"), PAGES)
def test_no_page_has_a_text_that_can_not_be_translated(readers: Cast, endpoint: str, name: str) -> None:
    actor: Actor = getattr(readers, name)
    if name == "mallory":
        _make_operator(readers, actor)
    rule = next(rule for rule, method in routes(readers.app) if rule.endpoint == endpoint and method == "GET")
    place = address(readers.app, rule, tenant_slug=readers.acme.slug, workspace_slug=readers.press.slug)
    answer = actor.browser.get(place)
    assert answer.status_code == 200
    assert f'<html lang="{TAG}">' in answer.text
    data = names_of(readers)
    if endpoint == "usage_operator.index":
        data += _names_of_all(readers)
    assert {text: words for text in texts_on(answer.text) if (words := untranslated(text, *data))} == {}


def _names_of_all(cast: Cast) -> list[str]:
    """The names that the operator's page shows: of every tenant, also those of other tests."""
    with cast.app.app_context():
        tenants = operator_report.list_tenants()
        report = operator_report.report(tenants)
    people = [value for each in report.top_users for value in (each.name, each.email)]
    places = [each.name for each in (*report.top_workspaces, *report.near_limit)]
    return [*(value for each in tenants for value in (each.name, each.slug)), *people, *places]


def _make_operator(cast: Cast, actor: Actor) -> None:
    with cast.app.app_context(), suppress(Conflict):
        admin.make_operator(actor.email)


def test_every_page_without_ids_is_read(app: Flask) -> None:
    """A new page comes into the list above, or is no page."""
    others = {"workspaces.home", "health.healthz", "health.readyz", "health.prometheus", "operations.live"}
    others |= {"account.confirm"}  # refused until an act asks for a fresh password; its texts are read in the source
    # Parts of pages; their texts are read in the source.
    others |= {"security.login", "migration.unfinished", "usage.space", "chosen.where", "uploads.interrupted"}
    pages = {
        rule.endpoint
        for rule, method in routes(app)
        if method == "GET" and not is_json(rule) and not rule.arguments - {"tenant_slug", "workspace_slug"}
        if not rule.rule.endswith((".csv", ".json"))
    }
    assert pages - {endpoint for endpoint, _ in PAGES} - others == set()


def test_a_page_follows_the_browser_until_somebody_chooses(translated: Flask, readers: Cast) -> None:
    nobody = readers.nobody
    page = nobody.get("/login", headers={"Accept-Language": "fr, eo-XX;q=0.8, en;q=0.5"})
    assert f'<html lang="{TAG}">' in page.text
    assert {text: words for text in texts_on(page.text) if (words := untranslated(text, *DATA))} == {}
    assert "Accept-Language" in page.vary
    wrong = nobody.post("/login", data={"email": "a@b.example"}, headers={"Accept-Language": TAG})
    assert [text for text in texts_on(wrong.text) if untranslated(text, *DATA)] == []
    assert '<html lang="en">' in nobody.get("/login", headers={"Accept-Language": "fr"}).text
    chosen = readers.alice.browser.get("/account", headers={"Accept-Language": "en"})
    assert f'<html lang="{TAG}">' in chosen.text
    assert "Accept-Language" not in chosen.vary


def test_the_choice_is_saved_and_can_be_undone(readers: Cast) -> None:
    bob = readers.bob.browser
    assert bob.post("/account/language", data={"language": "en"}).status_code == 303
    assert '<html lang="en">' in bob.get("/account").text
    assert bob.post("/account/language", data={"language": ""}).status_code == 303
    assert f'<html lang="{TAG}">' in bob.get("/account", headers={"Accept-Language": TAG}).text
    assert bob.post("/account/language", data={"language": "xx"}).status_code == 422


def test_nothing_is_offered_where_there_is_one_language(cast: Cast) -> None:
    assert "/account/language" not in cast.alice.browser.get("/account").text


def test_an_english_page_before_does_not_stay_in_english(translated: Flask, readers: Cast) -> None:
    """What a template computes once, when it is imported, would keep the language of the first reader."""
    page = f"/t/{readers.acme.slug}/w/{readers.press.slug}/files"
    with translated.app_context():
        identity.choose_language(readers.vera.id, "en")
    make_asset(readers)
    for reader, wanted in ((readers.vera, "en"), (readers.alice, TAG), (readers.vera, "en")):
        assert f'<html lang="{wanted}">' in reader.browser.get(page).text
    marked = [text for text in texts_on(readers.vera.browser.get(page).text) if "⟦" in text]
    assert marked == []


def test_scripts_get_their_texts_in_the_language_of_the_page(readers: Cast) -> None:
    page = readers.alice.browser.get("/account").text
    address = re.search(r'<script src="(/script-texts/[^"]+)" defer>', page)
    assert address is not None
    answer = readers.nobody.get(address[1])
    assert answer.mimetype == "text/javascript"
    texts = texts_of_scripts(answer.text)
    assert len(texts) > 50
    assert [text for text in texts if untranslated(text)] == []


def test_the_texts_of_scripts_are_kept_until_they_change(cast: Cast) -> None:
    """The address has the digest of the content, so that it may be cached for ever; without it it may not."""
    english = cast.nobody.get("/script-texts/en.js")
    assert english.headers["Cache-Control"] == "no-cache"
    assert cast.nobody.get("/script-texts/en.js?v=another").headers["Cache-Control"] == "no-cache"
    assert cast.nobody.get(f"/script-texts/{TAG}.js").status_code == 404
    digest = hashlib.sha256(english.data).hexdigest()[:12]
    kept = cast.nobody.get(f"/script-texts/en.js?v={digest}")
    assert kept.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert f'src="/script-texts/en.js?v={digest}"' in cast.nobody.get("/login").text


def test_a_problem_is_told_in_the_language_that_is_asked_for(readers: Cast) -> None:
    asked = {"Accept-Language": TAG}
    for path, body in (("nothing", None), ("uploads", {"file_name": 7}), ("uploads", {"size_bytes": -1})):
        answer = readers.alice.api.post(readers.url(path), json=body, headers=asked)
        problem = answer.get_json()
        assert answer.status_code >= 400
        told = [problem["title"], *(each["detail"] for each in problem.get("errors", [problem]))]
        assert [text for text in told if untranslated(text)] == []
        assert "Accept-Language" in answer.vary


def test_a_kept_text_is_read_in_the_language_of_its_reader(translated: Flask) -> None:
    text = Text.load(Text("The request is too large.").stored)
    inner = Text.load(Text.join(text, Text("This must be %(ge)s or more.", ge=3)).stored)
    with translated.test_request_context(headers={"Accept-Language": TAG}):
        assert str(text) == "⟦The request is too large.⟧"
        assert str(inner) == "⟦The request is too large.⟧ ⟦This must be 3 or more.⟧"
    assert inner.english == str(inner) == "The request is too large. This must be 3 or more."
    assert str(Text.load("It was 100 % full.")) == "It was 100 % full."


@pytest.mark.parametrize("name", CONTEXTS)
def test_an_e_mail_is_in_the_language_of_its_recipient(translated: Flask, name: str) -> None:
    with translated.app_context():
        words = render(name, TAG, addressee=Addressee("Alice", "alice@example.com"), **CONTEXTS[name])
        base_url = translated.extensions["portal.settings"].base_url
    given = [str(value) for value in _values(CONTEXTS[name]) if isinstance(value, str)]
    data = (*DATA, *given, base_url, "Alice")
    assert f'<html lang="{TAG}">' in words.html
    for text in (words.subject, words.text, *texts_on(words.html)):
        assert untranslated(text, *data) == [], text


def _values(context: object) -> Iterator[object]:
    if isinstance(context, dict):
        context = list(context.values())
    if isinstance(context, list):
        for each in context:
            yield from _values(each)
    else:
        yield context


ATTRIBUTE = re.compile(r'[a-z-]+="[^"]*"|data-\w+')  # of a macro that gives attributes alone


class _Literals(HTMLParser):
    """Words that a template's source shows as they stand."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in ("script", "style", "code")
        shown = ("title", "alt", "aria-label", "placeholder")
        self.found += [value for name, value in attrs if name in shown and value and re.search("[A-Za-z]{2}", value)]

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style", "code")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.found.append(ATTRIBUTE.sub("", data))


def _templates() -> list[Path]:
    return sorted(path for path in (ROOT / "templates").rglob("*.*") if path.suffix in (".html", ".json", ".txt"))


@pytest.mark.parametrize("path", _templates(), ids=lambda path: str(path.relative_to(ROOT / "templates")))
def test_no_template_has_words_outside_of_gettext(path: Path) -> None:
    depth, source = 0, []
    for _, kind, value in Environment().lex(path.read_text()):
        depth += kind.endswith("_begin")
        if kind == "data" and not depth:
            source.append(value)
        depth -= kind.endswith("_end")
    reader = _Literals()
    reader.feed("".join(source))
    assert [text for text in reader.found if untranslated(text, *DATA)] == []


SHOWS = {"NotFound", "Forbidden", "Conflict", "Invalid", "Unavailable", "Malformed", "Problem", "flash"}


def _has_words(node: ast.expr) -> bool:
    """Is this a text that stands in the code, and no call of gettext?"""
    if isinstance(node, ast.JoinedStr | ast.BinOp | ast.IfExp | ast.BoolOp):
        return any(_has_words(part) for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr))
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(re.search("[A-Za-z]", node.value))


def _modules() -> list[Path]:
    return sorted(
        path
        for path in (ROOT / "portal").rglob("*.py")
        if path.relative_to(ROOT / "portal").parts[0] not in ENGLISH_ONLY
    )


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(ROOT / "portal")))
def test_no_error_and_no_message_is_written_without_gettext(path: Path) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in SHOWS
        and node.args
        and _has_words(node.args[0])
    ]
    assert found == []


def test_compiled_catalogues_are_those_of_their_texts(tmp_path: Path) -> None:
    """Without English, which stands in the code: its catalogue is not compiled."""
    for path in sorted(CATALOGUES.glob("*/LC_MESSAGES/messages.po")):
        language = path.parts[-3]
        if language == "en":
            continue
        with path.open("rb") as source, (tmp_path / "messages.mo").open("wb") as compiled:
            write_mo(compiled, read_po(source, locale=language))
        assert path.with_suffix(".mo").read_bytes() == (tmp_path / "messages.mo").read_bytes(), "run make messages"
