"""Plates of electrodes and their contact impedance turned into a part of the stiffness matrix.

Complete electrode model (Cheng, Isaacson, Newell, Gisser 1989, IEEE Trans Biomed Eng 36; Somersalo, Cheney,
Isaacson 1992, SIAM J Appl Math 52; of recording electrodes, Pursiainen, Lew, Wolters 2017, J Neurophysiol
117). A plate E_l of potential V_l lies on the skin with a contact impedance z_l [Ohm m^2]: the current into
the body is

    n . sigma grad phi = (V_l - phi) / z_l     on E_l.

A recording electrode carries no net current, so V_l - phi adds up to zero over E_l and V_l is the mean of
phi there: V_l = m_l^T phi / |E_l|, with the mass matrix M_l of E_l and m_l = M_l 1. The boundary term of the
weak form, the sum over l of the integrals of (V_l - phi) v / z_l, then turns A phi = b into

    ( A + sum_l (M_l - m_l m_l^T / |E_l|) / z_l ) phi = b,

still symmetric with the constants as null space, so that reciprocity and the adjoint method hold with the
changed matrix. Current enters a plate where the skin is positive and leaves it where it is negative: the
plate shunts the potential under it. As z grows the model tends to the plain mean, as z falls to a perfectly
conducting plate. Between them lies the plate's radius over the skin's conductivity, some 0.01 Ohm m^2, so
that a usual contact hardly changes a recording:

| contact | z, Ohm m^2 | source |
|---|---|---|
| metal in saline | 0.0008 to 0.006 | Cheng et al. 1989, fitted |
| scalp, 5 kOhm at 1 cm | 0.4 | limit of good practice, Gorecka, Makiewicz 2019, Sensors 19; times area |
| cleaned skin, gel, 10 to 30 kOhm at 1 cm | 0.8 to 2.4 | common practice in EMG; times area |

M_l is integrated by the points q of the electrode: with w_q their weights and W_q the rows that interpolate
there linearly, M_l = |E_l| sum_q w_q W_q^T W_q, and m_l likewise. That is positive semi-definite by
construction on any mesh. At small z all vertices of the elements that a plate touches are tied together: it
acts up to one element larger than it is, which overrates wires and needles on all but very fine meshes.
"""

import numpy as np
from scipy import sparse

from numerical.anatomy.mesh import Mesh
from numerical.electrodes import Electrodes, selection

# Ohm m^2. There the potential under a plate varies by 1.4 % of what it does without (2 mm discs on a forearm)
# and the solver takes 17 iterations instead of 15; at 1e-6 single precision can fail.
SMALLEST_IMPEDANCE = 1e-5


def contact_stiffness(mesh: Mesh, electrodes: Electrodes, impedance: float) -> sparse.csr_array:
    """Return what the plates of the electrodes add to the stiffness [vertex, vertex], in S.

    impedance: contact impedance z of all electrodes [Ohm m^2]. Electrodes without area add nothing.

    Symmetric, positive semi-definite, with the constants in its null space. The potentials of the plates are
    `electrodes.selection(mesh, electrodes, order=1)` times those of the vertices.

    Raises ValueError for an impedance below 1e-5 Ohm m^2 and for electrodes outside the mesh.
    """
    if not impedance >= SMALLEST_IMPEDANCE:
        raise ValueError(
            f"contact impedance is {impedance:g} Ohm m^2; it must be at least {SMALLEST_IMPEDANCE:g}, "
            "which already is as good as a perfect contact"
        )
    electrode, point = np.nonzero(electrodes.weight)
    conductance = (electrodes.area / impedance)[electrode] * electrodes.weight[electrode, point]
    places = mesh.weights(electrodes.points[electrode, point], order=1)
    mean = selection(mesh, electrodes, order=1)
    # M - m m^T / |E| is the spread about the mean: the sum of w (W - mean)^T (W - mean).
    spread = sparse.csr_array(places - mean[electrode])
    return sparse.csr_array(spread.T @ sparse.diags_array(conductance) @ spread)
