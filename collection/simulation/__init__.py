"""A simulated participant whose planted feelings drive the simulated devices."""

from collection.simulation.participant import (
    Appearance,
    DefaultSimulation,
    EyeBehaviour,
    PlantedTrial,
    SelfReport,
    SimulatedParticipant,
    SimulationConfig,
    Traits,
)

__all__ = [
    "Appearance",
    "DefaultSimulation",
    "EyeBehaviour",
    "PlantedTrial",
    "SelfReport",
    "SimulatedParticipant",
    "SimulationConfig",
    "Traits",
]
