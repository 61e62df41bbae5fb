"""Letters: sent after the commit, retried, never twice. Against a real mail server on loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from rq import Queue
from rq.serializers import JSONSerializer

from portal import database
from portal.app import create_app
from portal.database import db, transaction
from portal.errors import Conflict
from portal.lifecycle import sweep
from portal.mail import service as mail
from portal.mail import smtp
from portal.mail.models import Email, EmailState
from portal.mail.service import Addressee
from portal.settings import MailServer
from tests.mail.conftest import ALARM, Post
from tests.support.engines import TestEngines
from tests.support.mail_server import MailBox
from tests.support.people import Cast
from tests.support.processes import close


def test_a_email_arrives_as_text_and_html(post: Post) -> None:
    email = post.send(post.enqueue(name='Alice Õunapuu, "the\nboss" <x@example.com>'))
    (arrived,) = post.box.letters
    assert email.state is EmailState.SENT and email.sent_at is not None and email.attempts == 1
    assert post.box.envelopes == [("files@example.com", ["alice@example.com"])]
    assert arrived["Subject"] == "The recount found a problem"
    assert arrived["From"] == "Stowage <files@example.com>"
    (to,) = arrived["To"].addresses
    assert (to.addr_spec, to.display_name) == ("alice@example.com", 'Alice Õunapuu, "the boss" <x@example.com>')
    assert arrived["Message-ID"] == f"<{email.id}@example.com>"
    assert arrived["Auto-Submitted"] == "auto-generated"
    plain, html = (arrived.get_body([kind]) for kind in ("plain", "html"))
    assert plain is not None and html is not None
    assert "Three bytes too many.\n.\n..and a dot." in plain.get_content().replace("\r\n", "\n")
    assert "<h1" in html.get_content()
    assert max(map(len, post.box.raw[0].split(b"\r\n"))) < 998


def test_what_was_sent_is_forgotten(post: Post) -> None:
    email = post.send(post.enqueue())
    assert (email.text, email.html) == ("", "")
    assert (email.subject, email.recipient) == ("The recount found a problem", "alice@example.com")


def test_nothing_is_written_when_the_change_is_not(post: Post) -> None:
    with post.app.app_context():
        with pytest.raises(RuntimeError), transaction(post.cast.acme.id):
            mail.enqueue("task_alarm", [Addressee("", "never@example.com")], None, **ALARM, at=database.now())
            raise RuntimeError
        assert db.session.query(Email).filter_by(recipient="never@example.com").count() == 0


def test_a_email_that_can_not_be_drawn_does_not_undo_the_change(post: Post) -> None:
    with post.app.app_context():
        with transaction(post.cast.acme.id):
            to = [Addressee("", "undrawn@example.com")]
            assert mail.enqueue("task_alarm", to, None, task="Half of it") == 0
            assert mail.enqueue("no_such_template", to, None) == 0
        assert db.session.query(Email).filter_by(recipient="undrawn@example.com").count() == 0


def test_a_key_is_written_once_a_recipient(post: Post) -> None:
    first, again = post.enqueue(deduplication_key="quota:1"), post.enqueue(deduplication_key="quota:1")
    other = post.enqueue(deduplication_key="quota:2")
    assert first == again != other
    assert post.enqueue(to="bob@example.com", deduplication_key="quota:1") not in (first, None)


def test_a_email_is_not_sent_twice(post: Post) -> None:
    email_id = post.enqueue()
    post.send(email_id)
    post.send(email_id)
    assert len(post.box.letters) == 1


def test_two_workers_at_once_send_it_once(post: Post) -> None:
    email_id = post.enqueue()
    post.box.goes_on.clear()
    slow = threading.Thread(target=post.send, args=(email_id,))
    slow.start()
    assert post.box.arrived.wait(20)
    assert post.send(email_id).state is EmailState.SENDING
    post.box.goes_on.set()
    slow.join()
    assert post.read(email_id).state is EmailState.SENT
    assert len(post.box.letters) == 1


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
def test_not_now_is_tried_again_later(post: Post, step: str) -> None:
    post.box.answers[step] = "451 4.3.0 secret words of the server"
    email_id = post.enqueue()
    email = post.send(email_id)
    assert (email.state, email.handed_over_at) == (EmailState.WAITING, None)
    assert email.error and "(451)" in email.error.english and "secret" not in email.error.english
    assert timedelta(seconds=50) < post.next_attempt(email_id) - database.now() <= timedelta(minutes=1)
    assert post.send(email_id).attempts == 1, "not before its time"
    post.box.answers.clear()
    post.change_task(email_id, "due_at = now()")
    email = post.send(email_id)
    assert (email.state, email.attempts, email.error) == (EmailState.SENT, 2, None)
    assert len(post.box.letters) == 1


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
def test_never_is_given_up_and_says_why(post: Post, step: str) -> None:
    post.box.answers[step] = "550 5.1.1 secret words of the server"
    email = post.send(post.enqueue())
    assert email.state is EmailState.GIVEN_UP
    assert email.error and "(550)" in email.error.english and "secret" not in email.error.english
    assert email.text, "what was not sent is kept"


def test_waits_grow_and_end_after_a_day(post: Post) -> None:
    post.box.answers["RCPT"] = "450 busy"
    email_id = post.enqueue()
    waits = []
    while (email := post.send(email_id)).state is EmailState.WAITING:
        waits.append(round((post.next_attempt(email_id) - database.now()).total_seconds() / 60))
        post.change_task(email_id, "due_at = now()")
        post.change(email_id, f"give_up_at = give_up_at - interval '{waits[-1]} minutes'")
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360], "1,231 minutes; the next would be after 24 hours"
    assert email.state is EmailState.GIVEN_UP
    assert (
        email.error
        and email.error.english == "The mail server refused this address (450). It was not sent within 24 hours."
    )


@pytest.mark.parametrize("kept", ["before", "after"])
def test_a_connection_lost_after_the_last_byte_is_never_repeated(post: Post, kept: str) -> None:
    post.box.breaks_off = kept
    email_id = post.enqueue()
    email = post.send(email_id)
    assert (email.state, email.error) == (EmailState.GIVEN_UP, mail.PERHAPS_SENT)
    post.box.breaks_off = None
    post.send(email_id)
    assert len(post.box.letters) == (1 if kept == "after" else 0)


def test_a_server_that_answers_too_late_may_have_it(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "ANSWER_SECONDS", 0.2)
    post.box.goes_on.clear()
    email = post.send(post.enqueue())
    assert (email.state, email.error) == (EmailState.GIVEN_UP, mail.PERHAPS_SENT)


def test_no_server_is_tried_again(post: Post) -> None:
    post.box.__exit__()
    email = post.send(post.enqueue())
    assert (email.state, email.error) == (EmailState.WAITING, smtp.UNREACHABLE)
    post.box.__init__()  # type: ignore[misc]  # the fixture closes another one
    post.box.__enter__()


def test_a_worker_that_died_before_the_last_byte_is_followed_by_another(post: Post) -> None:
    email_id = post.enqueue()
    post.change(email_id, "state = 'sending'")
    post.change_task(email_id, "lease_token = 'dead', lease_until = now() + interval '5 minutes'")
    assert post.send(email_id).state is EmailState.SENDING
    post.change_task(email_id, "lease_until = now() - interval '1 second'")
    post.app.extensions["portal.redis"].flushdb()
    with post.app.app_context():
        assert sweep.run()["send_email"] >= 1
    assert post.send(email_id).state is EmailState.SENT


def test_a_worker_that_died_after_the_last_byte_is_not(post: Post) -> None:
    email_id = post.enqueue()
    post.change(email_id, "state = 'sending', handed_over_at = now()")
    post.change_task(email_id, "lease_token = 'dead', lease_until = now() - interval '1 second'")
    email = post.send(email_id)
    assert (email.state, email.error, post.box.letters) == (EmailState.GIVEN_UP, mail.PERHAPS_SENT, [])


def test_a_worker_that_lost_its_lease_sends_nothing(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    email_id = post.enqueue()
    deliver = smtp.deliver

    def stalls(server: MailServer, sent: smtp.Post, hand_over: object) -> None:
        post.change_task(email_id, "lease_token = 'another'")
        deliver(server, sent, hand_over)  # type: ignore[arg-type]

    monkeypatch.setattr(smtp, "deliver", stalls)
    email = post.send(email_id)
    assert (email.state, post.box.letters) == (EmailState.SENDING, [])


def test_an_operator_sends_again_what_was_given_up(post: Post) -> None:
    post.box.answers["RCPT"] = "550 no"
    email_id = post.enqueue()
    post.send(email_id)
    post.box.answers.clear()
    with post.app.app_context():
        assert email_id is not None
        mail.send_again(email_id)
        mail.send(email_id)
        with pytest.raises(Conflict):
            mail.send_again(email_id)
    assert len(post.box.letters) == 1


@pytest.mark.parametrize(
    ("address", "envelope"),
    [("ada@bücher.example", "ada@xn--bcher-kva.example"), ("ada@straße.example", "ada@xn--strae-oqa.example")],
)
def test_a_domain_beyond_ascii_is_found(post: Post, address: str, envelope: str) -> None:
    assert post.send(post.enqueue(to=address)).state is EmailState.SENT
    assert post.box.envelopes == [("files@example.com", [envelope])]


def test_an_address_beyond_ascii_is_written_as_it_is(post: Post) -> None:
    assert post.send(post.enqueue(to="jürgen@example.com")).state is EmailState.SENT
    assert post.box.envelopes == [("files@example.com", ["jürgen@example.com"])]


def test_an_address_that_is_none_is_given_up(post: Post) -> None:
    email = post.send(post.enqueue(to="no address\r\nRCPT TO:<eve@example.com>"))
    assert email.state is EmailState.GIVEN_UP
    assert email.error and email.error.english == "This is not an address that mail can be sent to."
    assert post.box.letters == []


def test_without_a_mail_server_emails_are_kept(cast: Cast, in_app: object) -> None:
    with transaction(cast.acme.id):
        to = [Addressee("A", "kept@example.com")]
        assert mail.enqueue("task_alarm", to, None, **ALARM, at=database.now()) == 1
    email = db.session.query(Email).filter_by(recipient="kept@example.com").order_by(Email.id.desc()).first()
    assert email is not None and email.state is EmailState.KEPT and email.text
    mail.send(email.id)
    db.session.refresh(email)
    assert email.state is EmailState.KEPT


@pytest.fixture
def encrypted(engines: TestEngines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailBox]:
    """A server that asks for STARTTLS and a login, with a certificate of its own that we trust."""
    from tests.support.certificate import make_certificate

    context, authority = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with MailBox(login=("portal", "pass word"), tls=context) as box:
        yield box


@pytest.mark.parametrize(("password", "error"), [("pass word", None), ("wrong", "name and password")])
def test_with_starttls_and_a_login(
    engines: TestEngines, cast: Cast, encrypted: MailBox, password: str, error: str | None
) -> None:
    server = MailServer("localhost", encrypted.port, "starttls", "portal", password, "files@example.com")
    app = create_app(replace(engines.settings(), mail=server))
    email = Post(app, encrypted, cast)
    done = email.send(email.enqueue())
    close(app)
    if error is None:
        assert (done.state, encrypted.sessions) == (EmailState.SENT, [True])
    else:
        assert done.state is EmailState.WAITING and done.error and error in done.error.english
        assert encrypted.letters == []


def test_a_certificate_that_nobody_trusts_gets_no_password(
    engines: TestEngines, cast: Cast, encrypted: MailBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    server = MailServer("localhost", encrypted.port, "starttls", "portal", "pass word", "files@example.com")
    app = create_app(replace(engines.settings(), mail=server))
    email = Post(app, encrypted, cast)
    done = email.send(email.enqueue())
    close(app)
    assert done.error and "certificate is not valid" in done.error.english
    assert encrypted.letters == []


def test_its_job_is_enqueued_after_the_commit(post: Post) -> None:
    connection = post.app.extensions["portal.redis"]
    connection.flushdb()
    email_id = post.enqueue()
    waiting = Queue("messages", connection=connection, serializer=JSONSerializer)
    assert [(job.func_name, job.args[2]) for job in waiting.jobs] == [("portal.mail.jobs.send_email", str(email_id))]


def test_emails_of_long_ago_are_forgotten(post: Post) -> None:
    old, young, waiting = post.enqueue(), post.enqueue(), post.enqueue()
    post.send(old)
    post.send(young)
    for email_id in (old, waiting):
        post.change(email_id, "created_at = now() - interval '91 days'")
    with post.app.app_context():
        assert mail.forget() >= 1
        left = {each.id for each in db.session.query(Email).filter(Email.id.in_([old, young, waiting]))}
    assert left == {young, waiting}
