"""Conditions to MUAPs by the published architecture, BioMime, as the baseline to compare with.

A convolutional encoder-decoder with a Gaussian latent, rebuilt from its published outline (Ma et al. 2024
IEEE Trans. Neural Netw. Learn. Syst.) for any array and any conditions. Features are [batch, channel, time,
row, column]. What the outline leaves open is read so that the published count of 14.4 million parameters
(10 x 32 electrodes, 96 samples, six conditions; here 14.32) and the published cost come out:

- one linear layer makes 256 channels of the latent, which with the 64 of the embedded conditions are 320;
- the eight scales have one softmax per unit and block, not per channel; stretches start at the discharge;
- the convolutions of 128 to 16 channels follow the second block, and are most of the cost;
- no normalisation layers, so that amplitude survives; leaky rectifiers; biases; zero padding;
- the encoder sees the MUAP alone, and mean and log variance are linear in its last features;
- conditions are standardised, and the angle, a plain number in the original, is a point on a circle: a
  seventh number, and 64 parameters more.
"""

from itertools import pairwise

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from surrogate.conditions import Conditions
from surrogate.generators import ArrayGeometry, Generator
from surrogate.generators.resampling import FeatureMap, SpaceInterpolation, TimeResampling

Size = tuple[int, int, int]  # time, rows, columns
STRIDES: tuple[Size, ...] = ((2, 2, 2), (2, 2, 2), (2, 2, 2), (2, 1, 1), (1, 1, 1))  # of the published trunk
SLOPE = 0.2  # of the rectifiers below zero


class BioMimeSettings(BaseModel):
    """Size of the published generator and of its discriminator."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trunk_channels: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt, PositiveInt] = Field(
        default=(16, 32, 64, 128, 256), description="of the strided convolutions"
    )
    latent_size: int = Field(default=16, gt=0, description="numbers of the latent")
    embedding_size: int = Field(default=64, gt=0, description="numbers of the embedded conditions")
    decoder_convolutions: int = Field(default=4, ge=0, description="at the coarsest size")
    scales: tuple[PositiveFloat, ...] = Field(
        default=(0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0),
        min_length=1,
        description="stretches of time that are mixed",
    )
    output_channels: tuple[PositiveInt, ...] = Field(
        default=(128, 64, 32, 16), min_length=1, description="of the convolutions after resampling"
    )


class BioMimeGenerator(Generator):
    """The generator of this module; MUAPs are seen relative to `scale` [V], which comes from `fit`."""

    kind = "biomime"
    Settings = BioMimeSettings
    settings: BioMimeSettings
    scale: Tensor

    def __init__(self, settings: BioMimeSettings, conditions: Conditions, geometry: ArrayGeometry):
        super().__init__(settings, conditions, geometry)
        self.latent_size = settings.latent_size
        sizes = trunk_sizes(geometry)
        self.register_buffer("scale", torch.ones(()))
        self.trunk = nn.Sequential(*trunk(settings.trunk_channels))
        width = settings.trunk_channels[-1] * cells(sizes[-1])
        self.mean = nn.Linear(width, settings.latent_size)
        self.log_variance = nn.Linear(width, settings.latent_size)
        self.embedding = nn.Linear(coordinate_count(conditions), settings.embedding_size)
        self.decoder = Decoder(settings, sizes)

    def fit(self, muap: Float[Tensor, "sample row column time"]) -> None:
        """Take the scale from MUAPs [V] of the training data: their root mean square.

        Raises ValueError if they are zero or not finite.
        """
        self.scale.copy_(root_mean_square(muap))

    def posterior(
        self,
        muap: Float[Tensor, "batch row column time"],
        conditions: Float[Tensor, "batch condition"],
    ) -> tuple[Float[Tensor, "batch latent"], Float[Tensor, "batch latent"]]:
        """Return mean and log variance of the latent of MUAPs [V], whatever their conditions."""
        hidden = self.trunk(as_features(muap / self.scale)).flatten(1)
        return self.mean(hidden), self.log_variance(hidden)

    def decode(
        self,
        latent: Float[Tensor, "batch latent"],
        conditions: Float[Tensor, "batch condition"],
    ) -> Float[Tensor, "batch row column time"]:
        """Return MUAPs [V]; see `Generator.decode`."""
        embedding = self.embedding(self.conditions.coordinates(conditions))
        muap = rearrange(self.decoder(latent, embedding), "b 1 time row column -> b row column time")
        return self.scale * muap


class Decoder(nn.Module):
    """Latent and embedded conditions to MUAPs, the way back through the sizes of the trunk.

    sizes: of a MUAP, and of what each layer of the trunk makes of it. Time goes from a quarter to its
    full length at once; rows and columns are doubled once more at the end.
    """

    def __init__(self, settings: BioMimeSettings, sizes: list[Size]):
        super().__init__()
        full, half, quarter, *_, self.coarsest = sizes
        channels, embedding = settings.trunk_channels[-1], settings.embedding_size
        self.expansion = nn.Linear(settings.latent_size, channels * cells(self.coarsest))
        width = channels + embedding
        self.convolutions = nn.ModuleList(
            convolution(width, width) for _ in range(settings.decoder_convolutions)
        )
        times = (self.coarsest[0], quarter[0], full[0])
        self.resamplings = nn.ModuleList(
            TimeResampling(before, after, settings.scales, embedding) for before, after in pairwise(times)
        )
        spaces = (self.coarsest[1:], quarter[1:], half[1:], full[1:])
        self.interpolations = nn.ModuleList(SpaceInterpolation(*pair) for pair in pairwise(spaces))
        self.output = nn.ModuleList(
            convolution(before, after) for before, after in pairwise((width, *settings.output_channels))
        )
        self.last = convolution(settings.output_channels[-1], 1)

    def forward(
        self,
        latent: Float[Tensor, "batch latent"],
        embedding: Float[Tensor, "batch embedding"],
    ) -> Float[Tensor, "batch 1 time row column"]:
        """Return MUAPs relative to the generator's scale."""
        x = self.expansion(latent).unflatten(1, (-1, *self.coarsest))
        x = torch.cat([x, everywhere(embedding, self.coarsest)], dim=1)
        for layer in self.convolutions:
            x = leaky_relu(layer(x), SLOPE)
        *interpolations, last_interpolation = self.interpolations
        for resampling, interpolation in zip(self.resamplings, interpolations, strict=True):
            x = interpolation(resampling(x, embedding))
        for layer in self.output:
            x = leaky_relu(layer(x), SLOPE)
        return self.last(last_interpolation(x))


class StridedConvolution(nn.Module):
    """A strided 3 x 3 x 3 convolution, then a residual 1 x 1 x 1 convolution."""

    def __init__(self, before: int, after: int, stride: Size):
        super().__init__()
        self.convolution = convolution(before, after, stride)
        self.residual = nn.Conv3d(after, after, 1)
        # What starts as the identity keeps the size of the features along the trunk.
        for parameter in self.residual.parameters():
            nn.init.zeros_(parameter)

    def forward(self, features: FeatureMap) -> FeatureMap:
        """Return features at the strided size."""
        x = leaky_relu(self.convolution(features), SLOPE)
        return leaky_relu(x + self.residual(x), SLOPE)


def trunk(channels: tuple[int, ...], added: int = 0) -> list[StridedConvolution]:
    """Return the five layers that encoder and discriminator are built on.

    channels: of each layer's result. added: channels that the second layer gets beside the first's.
    """
    before = (1, channels[0] + added, *channels[1:-1])
    return [StridedConvolution(*sizes) for sizes in zip(before, channels, STRIDES, strict=True)]


def convolution(before: int, after: int, stride: Size = (1, 1, 1)) -> nn.Conv3d:
    """Return a 3 x 3 x 3 convolution that keeps the size, or divides it by `stride` rounding up.

    Its weights keep the variance of features through the rectifier (He et al. 2015 ICCV).
    """
    layer = nn.Conv3d(before, after, 3, stride, padding=1)
    nn.init.kaiming_normal_(layer.weight, a=SLOPE)
    return layer


def trunk_sizes(geometry: ArrayGeometry) -> list[Size]:
    """Return the size of a MUAP, and of what each layer of the trunk makes of it."""
    rows, columns, samples = geometry.shape
    sizes = [(samples, rows, columns)]
    for stride in STRIDES:
        time, row, column = (-(-length // step) for length, step in zip(sizes[-1], stride, strict=True))
        sizes.append((time, row, column))
    return sizes


def cells(size: Size) -> int:
    """Return the number of places that features of a size have."""
    time, rows, columns = size
    return time * rows * columns


def coordinate_count(conditions: Conditions) -> int:
    """Return how many numbers `Conditions.coordinates` gives for a unit."""
    return conditions.coordinates(torch.ones(1, len(conditions))).shape[1]


def as_features(muap: Float[Tensor, "batch row column time"]) -> Float[Tensor, "batch 1 time row column"]:
    """Return MUAPs as features of one channel."""
    return rearrange(muap, "b row column time -> b 1 time row column")


def everywhere(values: Float[Tensor, "batch channel"], size: Size) -> FeatureMap:
    """Return values as features that are the same at every place."""
    time, rows, columns = size
    return repeat(values, "b c -> b c time row column", time=time, row=rows, column=columns)


def root_mean_square(muap: Float[Tensor, "sample row column time"]) -> Float[Tensor, ""]:
    """Return the root mean square of all samples of MUAPs [V].

    Raises ValueError if it is zero or not finite.
    """
    size = muap.detach().double().square().mean().sqrt()
    if not 0 < float(size) < float("inf"):
        raise ValueError(f"MUAPs to take a scale from have root mean square {float(size):g} V; allowed: > 0")
    return size
