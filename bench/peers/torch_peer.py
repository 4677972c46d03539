"""Peer of the speed benchmarks: the default network (n_filters_scale 2, gridsize 1) as a PyTorch user would write it, or (PEER_NETWORK
hybrid_resnet) the published hybrid network.

PEER_SIDE is the side of the patterns (64, 128 or 256; 64 when not given), PEER_DEVICE where it runs (cpu when not given).

One training step is forward, physics, Poisson loss, backward and Adam; one prediction is the network and the complex object.
Prints one JSON line per command read from standard input: {"what": "train" | "predict", "batch": 16, "threads": 1, "repeats": 3}
answers {"seconds": [...], "processor": [...]}. Reading commands keeps the peer in the same run as the library, so that both see the same machine.
"""

import json
import math
import os
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

N = int(os.environ.get("PEER_SIDE", "64"))
DEVICE = os.environ.get("PEER_DEVICE", "cpu")
SCALE = 2
ENCODER, DECODER = {
    64: ([32, 64, 128], [64, 32]),
    128: ([16, 32, 64, 128], [128, 64, 32]),
    256: ([8, 16, 32, 64, 128], [256, 128, 64, 32]),
}[N]


def conv(cin, cout):
    return nn.Conv2d(cin, cout, 3, padding=1)


class ConvPool(nn.Module):
    def __init__(self, cin, f):
        super().__init__()
        self.a, self.b = conv(cin, f), conv(f, f)

    def forward(self, x):
        return F.max_pool2d(F.relu(self.b(F.relu(self.a(x)))), 2)


class ConvUp(nn.Module):
    def __init__(self, cin, f):
        super().__init__()
        self.a, self.b = conv(cin, f), conv(f, f)

    def forward(self, x):
        return F.interpolate(F.relu(self.b(F.relu(self.a(x)))), scale_factor=2, mode="nearest")


class Head(nn.Module):
    def __init__(self, activation):
        super().__init__()
        widths = [ENCODER[-1], *DECODER]
        self.blocks = nn.Sequential(*(ConvUp(a * SCALE, b * SCALE) for a, b in zip(widths, DECODER)))
        self.centre = conv(32 * SCALE - 4, 1)
        self.border = ConvUp(4, SCALE * 2048 // N)
        self.border_out = conv(SCALE * 2048 // N, 1)
        self.activation = activation
        mask = torch.ones(N, N)
        mask[N // 4 : -N // 4, N // 4 : -N // 4] = 0
        self.register_buffer("mask", mask)

    def forward(self, h):
        d = self.blocks(h)
        centre = F.pad(self.activation(self.centre(d[:, :-4])), (N // 4,) * 4)
        return centre + self.activation(self.border_out(self.border(d[:, -4:]))) * self.mask


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        widths = [1, *(SCALE * f for f in ENCODER)]
        self.encoder = nn.Sequential(*(ConvPool(a, b) for a, b in zip(widths, widths[1:])))
        self.amplitude = Head(torch.sigmoid)
        self.phase = Head(lambda x: math.pi * torch.tanh(x))

    def forward(self, x):
        h = self.encoder(x)
        a, p = self.amplitude(h), self.phase(h)
        return torch.complex(a * torch.cos(p), a * torch.sin(p))


class Spectral(nn.Module):
    """A spectral convolution that keeps the lowest waves, by fast Fourier transforms."""

    def __init__(self, channels, modes):
        super().__init__()
        self.modes = modes
        shape = (channels, channels, modes, modes)
        self.weight = nn.Parameter(torch.randn(shape, dtype=torch.cfloat) / math.sqrt(channels))

    def forward(self, x):
        b, c, h, w = x.shape
        rows, columns = min(self.modes, h), min(self.modes, w // 2 + 1)
        spectrum = torch.fft.rfft2(x)
        out = torch.zeros(b, c, h, w // 2 + 1, dtype=torch.cfloat, device=x.device)
        weight = self.weight[:, :, :rows, :columns]
        out[:, :, :rows, :columns] = torch.einsum("bikl,iokl->bokl", spectrum[:, :, :rows, :columns], weight)
        return torch.fft.irfft2(out, s=(h, w))


def mirrored(cin, cout):
    return nn.Conv2d(cin, cout, 3, padding=1, padding_mode="reflect")


class EncoderBlock(nn.Module):
    def __init__(self, c, modes):
        super().__init__()
        self.spectral = Spectral(c, modes)
        self.local = nn.Sequential(nn.Conv2d(c, 2 * c, 1), mirrored(2 * c, 2 * c), nn.Conv2d(2 * c, c, 1))

    def forward(self, x):
        return x + F.gelu(self.spectral(x) + self.local(x))


class ResidualBody(nn.Sequential):
    def __init__(self, c):
        norm = lambda: nn.InstanceNorm2d(c, affine=True)
        super().__init__(mirrored(c, c), norm(), nn.GELU(), mirrored(c, c), norm())


class HybridResnet(nn.Module):
    def __init__(self, width=32, modes=12):
        super().__init__()
        self.lifter = nn.Sequential(conv(1, width), nn.GELU(), conv(width, width))
        widths = [width, 2 * width, 4 * width, 4 * width]
        self.encoder = nn.ModuleList(EncoderBlock(c, modes) for c in widths)
        self.down = nn.ModuleList(nn.Conv2d(c, 2 * c, 2, stride=2) for c in widths[:2])
        self.bodies = nn.ModuleList(ResidualBody(4 * width) for _ in range(6))
        self.scale = nn.Parameter(torch.tensor(0.1))
        up = lambda c: (nn.ConvTranspose2d(c, c // 2, 4, stride=2, padding=1), nn.InstanceNorm2d(c // 2, affine=True), nn.GELU())
        self.decoder = nn.Sequential(*up(4 * width), *up(2 * width), nn.Conv2d(width, 2, 1))

    def forward(self, x):
        h = self.lifter(x)
        for i, block in enumerate(self.encoder):
            h = block(h)
            if i < len(self.down):
                h = self.down[i](h)
        for body in self.bodies:
            h = h + self.scale * body(h)
        y = self.decoder(h)
        return torch.complex(y[:, :1], y[:, 1:])


def main():
    torch.manual_seed(0)
    # As exact as what it is measured beside.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    net = (HybridResnet() if os.environ.get("PEER_NETWORK") == "hybrid_resnet" else Network()).to(DEVICE)
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-4)
    line = torch.arange(N, device=DEVICE) - N / 2
    yy, xx = torch.meshgrid(line, line, indexing="ij")
    probe = torch.exp(-(xx**2 + yy**2) / (2 * 8.0**2)) * torch.exp(1j * 0.01 * (xx**2 + yy**2))
    data = {}

    def batch(n):
        if n not in data:
            data[n] = torch.rand(n, 1, N, N).to(DEVICE)
        return data[n]

    def train(n):
        x = batch(n)
        field = torch.fft.fftshift(torch.fft.fft2(net(x) * probe, norm="ortho"), dim=(-2, -1))
        rate = field.real**2 + field.imag**2 + 1e-12
        loss = (rate - x * x * torch.log(rate)).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        return float(loss.detach())

    def predict(n):
        with torch.no_grad():
            return net(batch(n)).cpu()

    print(json.dumps({"torch": torch.__version__, "parameters": sum(p.numel() for p in net.parameters())}), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        torch.set_num_threads(command["threads"])
        work = train if command["what"] == "train" else predict
        net.train(command["what"] == "train")
        seconds, processor = [], []
        for _ in range(command["repeats"]):
            start, used = time.perf_counter(), time.process_time()
            work(command["batch"])
            seconds.append(time.perf_counter() - start)
            processor.append(time.process_time() - used)
        print(json.dumps({"seconds": seconds, "processor": processor}), flush=True)


if __name__ == "__main__":
    main()
