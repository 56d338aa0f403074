"""Decisions are appended; the newest says what is in production."""

from __future__ import annotations

import pytest

from caudal import registry
from caudal.errors import NotThere
from caudal.registry.decide import succession


@pytest.fixture
def three(registered, trained):
    result = trained()
    for fingerprint in ("f1", "f2", "f3"):
        registered(fingerprint, result=result)


def _production(ledger) -> int | None:
    found = registry.champion(ledger, "taxi", "duration")
    return found["version"] if found else None


def test_promotion_says_who_when_why_and_what_it_replaced(ledger, three):
    assert _production(ledger) is None
    gate = {"gate": "limit(mae)", "passed": True, "figures": {"score": 1.0}, "message": "at most 2 asked."}
    first = registry.promote(
        ledger, "taxi", "duration", 1, gates=[gate], who="ana", reason="all gates passed", run_id="r1", clock=lambda: 5.0
    )
    assert (first["decision"], first["replaced"], first["who"], first["at"], first["gates"]) == (
        "promoted",
        None,
        "ana",
        5.0,
        [gate],
    )
    second = registry.promote(ledger, "taxi", "duration", 2, who="ben")
    assert second["replaced"] == 1
    assert _production(ledger) == 2


def test_deciding_twice_decides_once(ledger, three):
    for _ in range(2):
        registry.refuse(ledger, "taxi", "duration", 1, who="ana")
        registry.promote(ledger, "taxi", "duration", 2, who="ana")
    assert [row["decision"] for row in registry.history(ledger, "taxi", "duration")] == ["refused", "promoted"]


def test_a_refusal_changes_nothing_in_production(ledger, three):
    registry.promote(ledger, "taxi", "duration", 1, who="ana")
    registry.refuse(ledger, "taxi", "duration", 2, who="ana", reason="beats_champion")
    assert _production(ledger) == 1


def test_rolling_back_twice_goes_back_two_champions(ledger, three):
    for version in (1, 2, 3):
        registry.promote(ledger, "taxi", "duration", version, who="ana")
    back = registry.rollback(ledger, "taxi", "duration", who="ben", reason="complaints")
    assert (back["decision"], back["version"], back["replaced"], back["reason"]) == ("rolled back", 2, 3, "complaints")
    assert registry.rollback(ledger, "taxi", "duration", who="ben")["version"] == 1
    with pytest.raises(NotThere, match="no champion before version 1"):
        registry.rollback(ledger, "taxi", "duration", who="ben")
    registry.promote(ledger, "taxi", "duration", 3, who="ana")
    assert succession(ledger, "taxi", "duration") == [1, 3]
    assert registry.rollback(ledger, "taxi", "duration", who="ben")["version"] == 1
    assert len(registry.history(ledger, "taxi", "duration")) == 7  # nothing was taken away


def test_rollback_to_a_version(ledger, three):
    for version in (1, 2):
        registry.promote(ledger, "taxi", "duration", version, who="ana")
    assert registry.rollback(ledger, "taxi", "duration", 1, who="ben")["version"] == 1
    # 2 was in production once, so one may go back to it although it is no longer in the line.
    assert registry.rollback(ledger, "taxi", "duration", 2, who="ben")["version"] == 2
    with pytest.raises(NotThere, match=r"Version 3.*never in production; 1, 2 were.*caudal model promote duration 3"):
        registry.rollback(ledger, "taxi", "duration", 3, who="ben")


def test_what_is_not_there_cannot_be_decided(ledger, three):
    for decide in (registry.promote, registry.refuse, registry.rollback):
        with pytest.raises(NotThere):
            decide(ledger, "taxi", "duration", 9, who="ana")
    with pytest.raises(NotThere, match="no trained version"):
        registry.rollback(ledger, "taxi", "fares", who="ana")


def test_listing_and_card_tell_the_state(ledger, three):
    gate = {"gate": "limit(mae)", "passed": False, "figures": {}, "message": "no"}
    registry.promote(ledger, "taxi", "duration", 1, who="ana")
    registry.promote(ledger, "taxi", "duration", 2, who="ana")
    registry.refuse(ledger, "taxi", "duration", 3, gates=[gate], who="ana")
    listed = registry.list_versions(ledger, "taxi")
    assert [(one["version"], one["state"]) for one in listed] == [(1, "former champion"), (2, "champion"), (3, "refused")]
    card = registry.card(ledger, "taxi", "duration")
    assert card["version"] == 2
    assert card["state"] == "champion"
    assert card["signature"]["inputs"][0]["name"] == "km"
    assert [one["candidate"] for one in card["candidates"]] == ["baseline", "chosen"]
    assert registry.card(ledger, "taxi", "duration", 3)["gates"] == [gate]
    with pytest.raises(NotThere):
        registry.card(ledger, "taxi", "duration", 4)
    assert registry.list_versions(ledger, "nothing") == []
