"""A musculoskeletal model of myo-sim in its neutral posture to bones, muscle paths, forces and frames.

Used when anatomical tables are made (Caggiano et al. 2022); the simulator never imports it.
"""

import warnings

import mujoco
import myo_sim
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

Array = NDArray[np.float64]

FOREARM_MIDDLE, NEARBY = 0.095, 0.012  # m from the elbow: where the forearm's frame sees the bones


class PosedModel:
    """A musculoskeletal model in its neutral posture."""

    def __init__(self, name: str):
        mujoco.set_mju_user_warning(lambda message: None)  # an empty prefix, which writes a log file
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.model = myo_sim.load_spec(name).compile()
        self.data = mujoco.MjData(self.model)
        mujoco.mj_forward(self.model, self.data)

    def body(self, name: str) -> Float[Array, " xyz"]:
        """Return the origin of a body [m]."""
        return self.data.body(name).xpos.copy()

    def path(self, muscle: str) -> Float[Array, "point xyz"]:
        """Return the path of a muscle [m], around its wrapping surfaces."""
        tendon = self.model.actuator(muscle).trnid[0]
        first, count = self.data.ten_wrapadr[tendon], self.data.ten_wrapnum[tendon]
        return self.data.wrap_xpos.reshape(-1, 3)[first : first + count].copy()

    def force(self, muscle: str) -> float:
        """Return the maximal isometric force of a muscle [N]."""
        return float(self.model.actuator(muscle).gainprm[2])

    def triangles(self, mesh: str) -> Float[Array, "triangle corner xyz"]:
        """Return the surface of a bone [m]."""
        geom = self.model.geom(mesh).id
        index = self.model.geom_dataid[geom]
        start, count = self.model.mesh_vertadr[index], self.model.mesh_vertnum[index]
        vertices = self.model.mesh_vert[start : start + count]
        start, count = self.model.mesh_faceadr[index], self.model.mesh_facenum[index]
        faces = self.model.mesh_face[start : start + count]
        turned = vertices @ self.data.geom_xmat[geom].reshape(3, 3).T + self.data.geom_xpos[geom]
        return turned[faces]


def cut(triangles: Float[Array, "triangle corner xyz"], z: float) -> tuple[Float[Array, " xy"], float]:
    """Return the centre and the radius of a circle of equal area of a closed surface cut at z [m]."""
    height = triangles[..., 2] - z
    above = height >= 0
    crossed = above.any(1) & ~above.all(1)
    corners, height, above = triangles[crossed], height[crossed], above[crossed]
    ends = np.zeros((2, len(corners), 2))
    for i in range(3):
        j = (i + 1) % 3
        for end, rising in enumerate((True, False)):
            here = (above[:, i] != above[:, j]) & (above[:, j] == rising)
            part = height[here, i] / (height[here, i] - height[here, j])
            ends[end, here] = (corners[here, i] + part[:, None] * (corners[here, j] - corners[here, i]))[
                :, :2
            ]
    # Green's theorem over the directed edges of the outline.
    cross = ends[0, :, 0] * ends[1, :, 1] - ends[0, :, 1] * ends[1, :, 0]
    area = cross.sum() / 2
    centre = ((ends[0] + ends[1]) * cross[:, None]).sum(0) / (6 * area)
    return centre, float(np.sqrt(abs(area) / np.pi))


def forearm_frame(model: PosedModel) -> tuple[Array, Array]:
    """z from the middle between radius and ulna at the elbow to the capitate; y from ulna to radius."""
    origin = (model.body("ulna_r") + model.body("radius_r")) / 2
    z = _unit(model.body("capitate_r") - origin)
    middles = []
    for bone in ("radius_r", "ulna_r"):
        points = model.triangles(bone).reshape(-1, 3)
        near = np.abs((points - origin) @ z - FOREARM_MIDDLE) < NEARBY
        middles.append(points[near].mean(0))
    across = middles[0] - middles[1]
    y = _unit(across - z * (across @ z))
    return origin, np.column_stack([np.cross(y, z), y, z])


def upper_arm_frame(model: PosedModel) -> tuple[Array, Array]:
    """z from the shoulder to the middle between radius and ulna at the elbow; x to the front."""
    elbow = (model.body("ulna_r") + model.body("radius_r")) / 2
    return _facing_forward(model.body("humerus_r"), elbow)


def lower_leg_frame(model: PosedModel) -> tuple[Array, Array]:
    """z from the knee to the ankle; x to the front."""
    return _facing_forward(model.body("tibia_r"), model.body("talus_r"))


def _facing_forward(start: Array, end: Array) -> tuple[Array, Array]:
    z = _unit(end - start)
    forward = np.array([0.0, -1.0, 0.0])  # the models look along -y
    x = _unit(forward - z * (forward @ z))
    return start, np.column_stack([x, np.cross(z, x), z])


def _unit(vector: Array) -> Array:
    return vector / np.linalg.norm(vector)
