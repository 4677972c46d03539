"""Peer of the speed benchmark: the default network (N=64, n_filters_scale 2, gridsize 1) as a PyTorch user would write it.

One training step is forward, physics, Poisson loss, backward and Adam; one prediction is the network and the complex object.
Prints one JSON line per command read from standard input: {"what": "train" | "predict", "batch": 16, "threads": 1, "repeats": 3}
answers {"seconds": [...]}. Reading commands keeps the peer in the same run as the library, so that both see the same machine.
"""

import json
import math
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

N = 64
SCALE = 2


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
        self.blocks = nn.Sequential(ConvUp(128 * SCALE, 64 * SCALE), ConvUp(64 * SCALE, 32 * SCALE))
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
        f = [32 * SCALE, 64 * SCALE, 128 * SCALE]
        self.encoder = nn.Sequential(ConvPool(1, f[0]), ConvPool(f[0], f[1]), ConvPool(f[1], f[2]))
        self.amplitude = Head(torch.sigmoid)
        self.phase = Head(lambda x: math.pi * torch.tanh(x))

    def forward(self, x):
        h = self.encoder(x)
        a, p = self.amplitude(h), self.phase(h)
        return torch.complex(a * torch.cos(p), a * torch.sin(p))


def main():
    torch.manual_seed(0)
    net = Network()
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-4)
    yy, xx = torch.meshgrid(torch.arange(N) - N / 2, torch.arange(N) - N / 2, indexing="ij")
    probe = torch.exp(-(xx**2 + yy**2) / (2 * 8.0**2)) * torch.exp(1j * 0.01 * (xx**2 + yy**2))
    data = {}

    def batch(n):
        if n not in data:
            data[n] = torch.rand(n, 1, N, N)
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
            return net(batch(n))

    print(json.dumps({"torch": torch.__version__, "parameters": sum(p.numel() for p in net.parameters())}), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        torch.set_num_threads(command["threads"])
        work = train if command["what"] == "train" else predict
        net.train(command["what"] == "train")
        seconds = []
        for _ in range(command["repeats"]):
            start = time.perf_counter()
            work(command["batch"])
            seconds.append(time.perf_counter() - start)
        print(json.dumps({"seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
