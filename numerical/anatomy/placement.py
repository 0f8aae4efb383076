"""Coordinates of a file, in its unit and along its axes, turned into those of a limb: metres, z to distal."""

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

Array = NDArray[np.float64]
Vector = tuple[float, float, float]

UNITS = {"m": 1.0, "cm": 1e-2, "mm": 1e-3, "inch": 0.0254}
WIDTHS, LENGTHS = (0.012, 0.35), (0.012, 1.6)  # m, of any human limb, from a child's finger to a leg


class Placement(BaseModel):
    """Where a limb lies in the coordinates of its file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    unit: str = Field("mm", pattern="^(m|cm|mm|inch)$", description="of the file: m, cm, mm or inch")
    origin: Vector = Field((0.0, 0.0, 0.0), description="what becomes z = 0 on the axis, in the file's unit")
    distal: Vector = Field((0.0, 0.0, 1.0), description="direction along the limb, towards distal")
    angle_zero: Vector = Field((1.0, 0.0, 0.0), description="direction from the axis that becomes angle 0")

    @property
    def rotation(self) -> Float[Array, "xyz xyz"]:
        """The limb's unit vectors x, y and z in the file's coordinates, one in each row.

        Raises ValueError where the two directions given are one and the same.
        """
        z = np.array(self.distal) / max(np.linalg.norm(self.distal), 1e-300)
        x = np.array(self.angle_zero) - (self.angle_zero @ z) * z
        if np.linalg.norm(x) < 1e-6 * np.linalg.norm(self.angle_zero) or not z.any():
            raise ValueError(
                f"placement: angle_zero {list(self.angle_zero)} must point across distal {list(self.distal)}"
            )
        x /= np.linalg.norm(x)
        return np.stack([x, np.cross(z, x), z])

    def to_limb(self, points: Float[Array, "*point xyz"]) -> Float[Array, "*point xyz"]:
        """Return places in the limb [m] of points in the file's coordinates and unit."""
        return UNITS[self.unit] * (np.asarray(points, float) - self.origin) @ self.rotation.T

    def check_size(self, points: Float[Array, "point xyz"], what: str) -> None:
        """Raise ValueError, with the unit that would fit, where a limb's points [m] span no limb's size."""
        size = np.ptp(points, axis=0)
        if _plausible(size):
            return
        said = " x ".join(f"{1e3 * s:.4g}" for s in size)
        fitting = [u for u, scale in UNITS.items() if _plausible(size / UNITS[self.unit] * scale)]
        advice = f"unit {' or '.join(fitting)} would fit" if fitting else "no unit would make it one"
        raise ValueError(f"{what}: {said} mm is not the size of a limb with unit {self.unit}; {advice}")


def _plausible(size: Float[Array, " xyz"]) -> bool:
    width = float(size[:2].max())
    return WIDTHS[0] <= width <= WIDTHS[1] and LENGTHS[0] <= size[2] <= LENGTHS[1]
