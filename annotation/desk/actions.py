"""What the desk does for each action of `annotation.keys`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from annotation.desk.state import Page, Saving

if TYPE_CHECKING:
    from annotation.desk.desk import Desk
    from annotation.playback.player import Player

#: Seconds that one press of a scrub key goes on or back.
SCRUB_S = 1.0

PLAYER_ACTIONS: dict[str, Callable[[Player], None]] = {
    "play": lambda player: player.toggle(),
    "replay": lambda player: player.replay(),
    "step.back": lambda player: player.step(-1),
    "step.forward": lambda player: player.step(1),
    "scrub.back": lambda player: player.scrub(-SCRUB_S),
    "scrub.forward": lambda player: player.scrub(SCRUB_S),
    "clip.start": lambda player: player.to_start(),
    "clip.end": lambda player: player.to_end(),
    "slower": lambda player: player.slower(),
    "faster": lambda player: player.faster(),
    "loop": lambda player: player.toggle_loop(),
    "loop.start": lambda player: player.loop_start_here(),
    "loop.end": lambda player: player.loop_end_here(),
}
CLIP_ACTIONS: dict[str, Callable[[Desk], object]] = {
    **{f"digit.{number}": (lambda desk, digit=number: desk.press_digit(digit)) for number in range(10)},
    "field.next": lambda desk: desk.move_focus(1),
    "field.previous": lambda desk: desk.move_focus(-1),
    "field.clear": lambda desk: desk.clear_field(),
    "scale.up": lambda desk: desk.nudge(1),
    "scale.down": lambda desk: desk.nudge(-1),
    "commit": lambda desk: desk.commit(),
    "flag": lambda desk: desk.toggle_flag(),
    "guess.accept": lambda desk: desk.accept_guess(),
    "undo": lambda desk: desk.undo(),
    "redo": lambda desk: desk.redo(),
    "mark.apex": lambda desk: desk.mark("apex"),
    "mark.onset": lambda desk: desk.mark("onset"),
    "mark.offset": lambda desk: desk.mark("offset"),
    "mark.remove": lambda desk: desk.remove_mark_here(),
    "next": lambda desk: desk.next(),
    "previous": lambda desk: desk.previous(),
    "next.open": lambda desk: desk.next_open(),
    "break": lambda desk: desk.take_break(),
    "trace": lambda desk: desk.stop_trace() if desk.tracing else desk.start_trace(),
}
_PLAY_ACTIONS: dict[str, Callable[[Desk], object]] = {
    name: (lambda desk, go=go: desk.play_action(go)) for name, go in PLAYER_ACTIONS.items()
}
CLIP_ACTIONS.update(_PLAY_ACTIONS)
#: What the other pages take; Enter leads on from each.
PAGE_ACTIONS: dict[Page, dict[str, Callable[[Desk], object]]] = {
    Page.FEEDBACK: {
        # The clip stays beside what the experts say of it, to be looked at again.
        **_PLAY_ACTIONS,
        "commit": lambda desk: desk.acknowledge(),
        "next": lambda desk: desk.acknowledge(),
        "next.open": lambda desk: desk.acknowledge(),
        "undo": lambda desk: desk.undo(),
    },
    Page.BREAK: {"commit": lambda desk: desk.end_break(), "play": lambda desk: desk.end_break()},
    Page.ADMISSION: {"commit": lambda desk: desk.acknowledge(), "play": lambda desk: desk.acknowledge()},
    Page.FINISHED: {
        "previous": lambda desk: desk.goto(desk.position),
        "undo": lambda desk: desk.undo(),
        "redo": lambda desk: desk.redo(),
        "next.open": lambda desk: desk.next_open(),
    },
}
#: What a trace leaves the hands free for; everything else waits until it ends.
WHILE_TRACING = ("trace", "scale.up", "scale.down")


def perform(desk: Desk, action: str) -> bool:
    """Do an action on the page that is shown; False for one that is the window's."""
    if action not in CLIP_ACTIONS:
        return False
    if desk.tracing and action not in WHILE_TRACING:
        desk.tell("warning", "tracing")
        return True
    if action == "commit" and desk.saving is not Saving.SAVED:
        desk.retry()
        return True
    known = CLIP_ACTIONS if desk.page is Page.CLIP else PAGE_ACTIONS[desk.page]
    if action in known:
        known[action](desk)
    return True
