"""Planted worlds for choosing and guarding the default model: arrays of simulated clips whose answers are known.

A model that wins one simulated world may have been fitted to it. These worlds differ in **where** the information is: in
a person's own averages, in the order of events, in fixations, in products of features, in the face, in a burst at an
unknown time; and in how much there is: small studies, missing eyes, missing labels. A default that is to be trusted
elsewhere must be near the best in all of them, not the best in one.

    from benchmarks.worlds import WORLDS, make_world, write_world
    world = make_world("averages", seed=0)          # a second, numpy only
    write_world(world, Path("exports/averages"))    # a training export that `emer train` reads

Everything here is simulated and says nothing about people. The public planted world of the package (``emer plant``) is
another one: it writes whole recordings. ``python -m benchmarks model_search`` runs the candidates over the worlds.
"""

from __future__ import annotations

from benchmarks.worlds.settings import WORLDS, WorldSettings
from benchmarks.worlds.world import World, make_world
from benchmarks.worlds.writing import write_world

__all__ = ["WORLDS", "World", "WorldSettings", "make_world", "write_world"]
