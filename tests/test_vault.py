"""The vault: what is sealed opens for its own row only, with any key of the deployment, and is tied to the newest."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from portal.errors import Unavailable
from portal.vault import Owner, Sealed, Vault

OLD, NEW = "the older key of this deployment, 1", "the newer key of this deployment, 2"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYzEXAMPLEKEY"


@pytest.fixture
def owner() -> Owner:
    return Owner(uuid4(), uuid4(), uuid4())


def test_what_was_sealed_opens_again_and_shows_nothing(owner: Owner) -> None:
    vault = Vault((OLD,))
    sealed = vault.seal(SECRET, owner)
    assert vault.open(sealed, owner) == SECRET
    assert SECRET.encode() not in sealed.secret + sealed.wrapped_key
    assert OLD not in repr(sealed) and repr(sealed) == f"Sealed(key_id='{vault.newest}')"


def test_the_same_secret_never_looks_the_same_twice(owner: Owner) -> None:
    vault = Vault((OLD,))
    first, second = vault.seal(SECRET, owner), vault.seal(SECRET, owner)
    assert first.secret != second.secret
    assert first.wrapped_key != second.wrapped_key


@pytest.mark.parametrize("which", ["tenant_id", "parent_id", "row_id"])
def test_a_secret_of_another_row_can_not_be_decrypted(owner: Owner, which: str) -> None:
    vault = Vault((OLD,))
    sealed = vault.seal(SECRET, owner)
    with pytest.raises(Unavailable):
        vault.open(sealed, replace(owner, **{which: uuid4()}))


def test_parts_of_two_rows_do_not_open_together(owner: Owner) -> None:
    vault, other = Vault((OLD,)), Owner(uuid4(), uuid4(), uuid4())
    mine, theirs = vault.seal(SECRET, owner), vault.seal("another secret", other)
    for mixed in (replace(mine, secret=theirs.secret), replace(mine, wrapped_key=theirs.wrapped_key)):
        for whose in (owner, other):
            with pytest.raises(Unavailable):
                vault.open(mixed, whose)


@pytest.mark.parametrize("part", ["secret", "wrapped_key"])
def test_a_changed_bit_is_noticed(owner: Owner, part: str) -> None:
    vault = Vault((OLD,))
    sealed = vault.seal(SECRET, owner)
    whole = bytearray(getattr(sealed, part))
    whole[-1] ^= 1
    with pytest.raises(Unavailable):
        vault.open(Sealed(**{**vars(sealed), part: bytes(whole)}), owner)


def test_an_older_key_opens_and_the_newest_seals(owner: Owner) -> None:
    before = Vault((OLD,)).seal(SECRET, owner)
    both = Vault((NEW, OLD))
    assert both.open(before, owner) == SECRET
    assert both.seal(SECRET, owner).key_id == Vault((NEW,)).newest


def test_rewrapped_secrets_need_the_old_key_no_more(owner: Owner) -> None:
    before = Vault((OLD,)).seal(SECRET, owner)
    after = Vault((NEW, OLD)).rewrap(before, owner)
    assert Vault((NEW,)).open(after, owner) == SECRET
    assert after.secret == before.secret  # the data key stays: only its wrapping changed
    with pytest.raises(Unavailable):
        Vault((OLD,)).open(after, owner)


def test_without_the_key_nothing_opens_and_nothing_is_told(owner: Owner) -> None:
    sealed = Vault((OLD,)).seal(SECRET, owner)
    for attempt in (Vault((NEW,)).open, Vault((NEW,)).rewrap):
        with pytest.raises(Unavailable) as refusal:
            attempt(sealed, owner)
        assert SECRET not in refusal.value.detail and refusal.value.__cause__ is None
