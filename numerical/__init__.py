"""Finite-element simulation of surface EMG: limb anatomy to motor unit action potentials."""
