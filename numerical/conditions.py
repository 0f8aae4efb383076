"""The conditions that a MUAP is simulated and generated under: names, levels, SI units, meanings."""

from typing import Literal, NamedTuple


class Condition(NamedTuple):
    """What a condition is.

    level: whether it belongs to a sample (a draw of a unit), a motor unit or a conductor.
    """

    name: str
    level: Literal["sample", "motor_unit", "conductor"]
    unit: str
    description: str


# The order is that of corpora and generators.
CONDITIONS = {
    row[0]: Condition(*row)
    for row in (
        ("number_of_fibres", "motor_unit", "1", "muscle fibres of the motor unit"),
        ("depth", "motor_unit", "m", "of the fibres' centre below the skin, in the array's middle plane"),
        (
            "angle",
            "motor_unit",
            "rad",
            "of the fibres' centre, in the array's middle plane, from its first column",
        ),
        (
            "fibre_centre",
            "motor_unit",
            "m",
            "midway between the fibres' mean ends, along them from the array's middle plane",
        ),
        ("fibre_spread_radial", "motor_unit", "m", "standard deviation of the fibres away from the axis"),
        ("fibre_spread_tangential", "motor_unit", "m", "standard deviation of the fibres around the axis"),
        ("fibre_correlation", "motor_unit", "1", "of the radial and tangential offsets of the fibres"),
        ("end_plate_spread", "motor_unit", "m", "standard deviation of the end-plates along the fibres"),
        ("fibre_end_spread", "motor_unit", "m", "standard deviation of each of the fibres' ends along them"),
        ("innervation_zone", "sample", "1", "mean end-plate, part of the fibre length from proximal"),
        ("conduction_velocity", "sample", "m/s", "of the action potentials along the fibres"),
        ("fibre_length", "sample", "m", "between the fibres' mean ends"),
        ("limb_radius", "conductor", "m", "mean radius of the skin in the array's middle plane"),
        ("fat_thickness", "conductor", "m", "subcutaneous fat"),
        ("skin_thickness", "conductor", "m", "skin"),
        ("bone_scale", "conductor", "1", "size of the bones relative to the anatomical table"),
        ("muscle_longitudinal_conductivity", "conductor", "S/m", "muscle along its fibres"),
        ("muscle_transverse_conductivity", "conductor", "S/m", "muscle across its fibres"),
        ("fat_conductivity", "conductor", "S/m", "subcutaneous fat"),
        ("skin_conductivity", "conductor", "S/m", "skin"),
        ("bone_conductivity", "conductor", "S/m", "bone"),
        ("length_scale", "conductor", "1", "length of limb and muscles relative to the tables"),
        ("array_shift", "conductor", "m", "of the array along the limb from its usual place"),
        ("array_angle", "conductor", "rad", "of the array's first column around the limb"),
    )
}

# What most corpora leave as it is, and what it then is; a condition only where it varies.
NEUTRAL = {"length_scale": 1.0, "array_shift": 0.0, "array_angle": 0.0}
