"""Checks of the simulator: against exact solutions, finer meshes, other formulations and physiology."""
