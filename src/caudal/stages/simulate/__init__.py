"""Simulated streams with known numbers of disturbances, and recordings, both played by sample position."""

from caudal.stages.simulate.played import Played
from caudal.stages.simulate.registered import simulator, simulators
from caudal.stages.simulate.sending import Sending

__all__ = ["Played", "Sending", "simulator", "simulators"]
