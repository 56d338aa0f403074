"""What features note of how far they look back."""

from __future__ import annotations

from caudal.spec.lookback import note, recorded


def test_the_farthest_look_back_is_kept():
    with recorded() as seen:
        note(900)
        note(86_400)
        note(60)
    assert seen.seconds == 86_400.0


def test_nothing_noted_is_zero_and_a_note_outside_goes_nowhere():
    note(5)
    with recorded() as seen:
        pass
    note(5)
    assert seen.seconds == 0.0


def test_recorders_nest():
    with recorded() as outer:
        note(1)
        with recorded() as inner:
            note(7)
        note(2)
    assert (outer.seconds, inner.seconds) == (7.0, 7.0)


def test_an_error_ends_the_recording():
    try:
        with recorded() as seen:
            raise ValueError
    except ValueError:
        note(9)
    assert seen.seconds == 0.0
