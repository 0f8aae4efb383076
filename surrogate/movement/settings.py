"""Everything about a simulation besides its input."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from numerical.common_drive import DriveSettings
from numerical.recruitment import RecruitmentSettings
from surrogate.movement.activation import OptimisationSettings
from surrogate.movement.excitation import ActivationDynamics
from surrogate.movement.fatigue import Fatigue
from surrogate.movement.muap_table import TOLERANCE
from surrogate.movement.muscle_paths import ShiftLimits
from surrogate.movement.parts import LARGEST
from surrogate.movement.population import Subject
from surrogate.movement.tendon import Tendon
from surrogate.movement.torque import Load


class SimulationSettings(BaseModel):
    """Everything about a simulation besides its input."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subject: Subject = Field(default_factory=Subject, description="whose forearm it is")
    recruitment: RecruitmentSettings = Field(
        default_factory=RecruitmentSettings, description="how motor units answer excitation"
    )
    drive: DriveSettings = Field(
        default_factory=DriveSettings, description="fluctuations that motor units share, and their own"
    )
    load: Load = Field(default_factory=Load, description="what the movement works against")
    optimisation: OptimisationSettings = Field(
        default_factory=OptimisationSettings, description="how muscles share the torque"
    )
    dynamics: ActivationDynamics = Field(
        default_factory=ActivationDynamics, description="how fast activation follows excitation"
    )
    tendons: Literal["rigid", "compliant"] = Field(
        default="rigid", description="whether fibres shorten by what their tendons give way"
    )
    tendon: Tendon = Field(default_factory=Tendon, description="how much compliant tendons give way")
    shift: ShiftLimits = Field(
        default=ShiftLimits(depth=0.0), description="of muscles under the skin as posture changes"
    )
    tires: bool = Field(default=False, description="whether fatigue slows conduction")
    fatigue: Fatigue = Field(default_factory=Fatigue, description="how a muscle tires, where it does")
    frame_rate_hz: float = Field(
        default=100.0, gt=0, le=2000, description="of postures, activations and fibre lengths, Hz"
    )
    tolerance: float = Field(
        default=TOLERANCE,
        gt=0,
        lt=1,
        description="largest error of a MUAP interpolated between states of its muscle, nRMSE",
    )
    largest_part: float = Field(
        default=LARGEST,
        gt=0,
        le=100,
        description="spread of fibres, over their depth, beyond which a MUAP is generated in parts",
    )
