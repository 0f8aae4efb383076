"""A limb turned into a picture in three dimensions: its muscles, electrodes, and the lead field of one."""

from matplotlib.figure import Figure

from numerical.anatomy.segment import LimbResolution
from numerical.anatomy.segments import SEGMENTS
from numerical.electrodes import on_skin
from numerical.lead_field import lead_field
from numerical.recording_surface import Disc
from numerical.skin import LimbSkin
from numerical.view import limb_view_figure
from surrogate.plots.body import Body

RESOLUTION = LimbResolution().refined(0.6)  # within 4 % of the finer one from 5 mm below the skin on
ELECTRODE = Disc(radius=0.002)


def lead_field_figure(body: Body, electrode: int) -> Figure:
    """Return a limb with its electrodes, and the lead field of one that stands where this one is.

    Raises RuntimeError where pyvista or OpenGL is missing.
    """
    limb, segment = body.limb, SEGMENTS[body.name]
    place, name = body.electrodes[electrode], body.electrode_names[electrode]
    mesh = segment.mesh(limb, RESOLUTION, float(place[2]))
    alone = on_skin([name], place[None], ELECTRODE, LimbSkin(limb))
    field = lead_field(mesh, body.subject.conductivities, alone)
    return limb_view_figure(field, limb, body.electrodes, electrode, name)
