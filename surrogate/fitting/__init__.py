"""Recorded MUAPs to the conditions that a generator makes them under, with uncertainty."""

from surrogate.fitting.fit import Fit, FitSettings, Report, checked_muap, difference, end_plate, fit

__all__ = ["Fit", "FitSettings", "Report", "checked_muap", "difference", "end_plate", "fit"]
