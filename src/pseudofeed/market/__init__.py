"""The market to be simulated: file, mistakes, specification, drawn parameters, timetable and clock."""

from pseudofeed.market.market import Market
from pseudofeed.market.parameters import FactorParameters, InstrumentParameters, SimulationParameters

__all__ = ["FactorParameters", "InstrumentParameters", "Market", "SimulationParameters"]
