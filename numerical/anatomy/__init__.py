"""Geometry of a limb turned into a labelled tetrahedral mesh."""
