"""What is simulated: the market file, its mistakes, the specification, the drawn parameters, the clock."""

from pseudofeed.market.market import FactorParameters, InstrumentParameters, Market, SimulationParameters

__all__ = ["FactorParameters", "InstrumentParameters", "Market", "SimulationParameters"]
