"""Places on the skin between the electrodes of an array to weights of the electrodes.

Around the limb a potential is periodic and smooth, and interpolated by its Fourier series; along the limb by
cubic splines through the rows.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from scipy.interpolate import CubicSpline
from torch import Tensor


def interpolation_weights(
    row_position: Sequence[float], columns: int, z: object, angle: object
) -> Float[Tensor, "electrode row column"]:
    """Return what to multiply an array's potentials by, for those at other places.

    row_position: m. columns: evenly around the limb, the first at angle 0. z: m, and angle: rad, of each.

    Raises ValueError for places beyond the first or last row, and arrays of fewer than two rows.
    """
    at, around = (np.atleast_1d(np.asarray(v, np.float64)) for v in (z, angle))
    if at.ndim != 1 or at.shape != around.shape:
        raise ValueError(f"electrodes: {at.shape} places along the limb and {around.shape} angles")
    if len(row_position) < 2:
        raise ValueError("electrodes: nothing lies between the rows of an array that has one")
    order = np.argsort(row_position)
    rows = np.asarray(row_position)[order]
    slack = 1e-9
    outside = ~((at >= rows[0] - slack) & (at <= rows[-1] + slack))
    if outside.any() or not np.isfinite(around).all():
        wrong = at[outside][0] if outside.any() else around[~np.isfinite(around)][0]
        raise ValueError(
            f"electrodes: {wrong:.6g} is off the array, which reaches from {rows[0]:.6g} to {rows[-1]:.6g} m"
        )
    along = np.empty((len(at), len(rows)))
    along[:, order] = CubicSpline(rows, np.eye(len(rows)))(at)
    return torch.einsum(
        "er,ec->erc", torch.as_tensor(along), torch.as_tensor(_periodic(columns, around))
    ).float()


def _periodic(columns: int, angle: np.ndarray) -> np.ndarray:
    """Return the weights of the trigonometric polynomial through values at even angles [angle, column]."""
    away = angle[:, None] - 2 * np.pi * np.arange(columns) / columns
    waves = np.arange(1, (columns - 1) // 2 + 1)
    weights = 1 + 2 * np.cos(away[..., None] * waves).sum(-1)
    if columns % 2 == 0:
        weights += np.cos(columns / 2 * away)
    return weights / columns
