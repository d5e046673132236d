"""Someone who labels at random, the same at each seed; run as a program, it says after each step what it shows."""

from __future__ import annotations

import importlib.util
import json
import random
import sys
from pathlib import Path
from typing import Any

from annotation.desk.desk import Desk
from annotation.desk.fields import to_plain

if __package__:
    from .desk_source import ListSource, queue
else:
    _spec = importlib.util.spec_from_file_location("desk_source", Path(__file__).with_name("desk_source.py"))
    _module = importlib.util.module_from_spec(_spec)
    sys.modules["desk_source"] = _module
    _spec.loader.exec_module(_module)
    ListSource, queue = _module.ListSource, _module.queue

N_ITEMS = 4
#: Fields and commits come most often, as in real work.
ACTIONS = ("digit",) * 8 + ("commit",) * 3 + ("scale", "skip", "flag", "mark", "comment", "next", "previous")


def act(desk: Desk, rng: random.Random, undo: bool = True) -> None:
    """Do one thing."""
    action = rng.choice(ACTIONS + (("undo", "undo", "redo") if undo else ()))
    if desk.page.value != "clip":
        desk.goto(rng.randrange(N_ITEMS))
    if action == "digit":
        desk.perform(f"digit.{rng.randrange(10)}")
    elif action == "scale":
        desk.focus_on("valence")
        desk.perform(rng.choice(("scale.up", "scale.down")))
    elif action == "skip":
        desk.skip(rng.choice(("no_face", "too_dark")))
    elif action == "comment":
        desk.set_comment(f"word {rng.randrange(5)}")
    elif action == "mark":
        desk.player.seek(rng.randrange(5))
        desk.player.settle()
        desk.perform(rng.choice(("mark.apex", "mark.onset", "mark.remove")))
    else:
        desk.perform(action)


def summary(desk: Desk) -> dict[str, list[Any]]:
    """Return what is said, by clip: draft, label and marks."""
    found = {}
    for item in desk.items:
        sheet = desk._log.sheet(item)
        label = None if sheet.label is None else [sheet.label.emotion, sheet.label.valence, sheet.label.skip_reason]
        marks = sorted([row.kind, row.frame_index or 0] for row in sheet.marks)
        found[item.clip_id] = [to_plain(sheet.said.draft), label, marks]
    return found


def state(desk: Desk) -> list[Any]:
    return [summary(desk), desk.can_undo, desk.can_redo]


def outcome(path: Path) -> list[Any]:
    """Open the labels again and return what is there."""
    desk = Desk(ListSource(path, queue("fer", main=N_ITEMS)))
    try:
        return json.loads(json.dumps(state(desk)))
    finally:
        desk.close()


def reference(path: Path, seed: int, n_steps: int) -> list[list[Any]]:
    """Return what is there after each step if nobody is killed."""
    desk, rng, states = Desk(ListSource(path, queue("fer", main=N_ITEMS))), random.Random(seed), []
    for _ in range(n_steps):
        act(desk, rng)
        states.append(json.loads(json.dumps(state(desk))))
    desk.close()
    return states


def main() -> None:
    path, seed, n_steps = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    desk, rng = Desk(ListSource(path, queue("fer", main=N_ITEMS))), random.Random(seed)
    for _ in range(n_steps):
        act(desk, rng)
        print(json.dumps(state(desk)), flush=True)
    desk.close()


if __name__ == "__main__":
    main()
