"""Peer of the solver benchmark: rPIE as a PyTorch user would write it, batched, complex64, probe shifted in Fourier space.

  python3 rpie_peer.py FILE PROBE_KEY EPOCHS BATCH THREADS

Prints one JSON line: seconds of the epochs (without reading), amplitude R over the last epoch, each batch before its step.
"""

import json
import sys
import time

import numpy as np
import torch

file, key, epochs, batch, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
torch.set_num_threads(threads)
data = np.load(file)
name = "diffraction" if "diffraction" in data else "diff3d"
a = torch.from_numpy(np.fft.ifftshift(np.asarray(data[name], dtype=np.float32), axes=(1, 2)).copy())
y, x = np.asarray(data["ycoords"], dtype=float), np.asarray(data["xcoords"], dtype=float)
n, N, _ = a.shape
y, x = y - y.min() + N // 2 + 1, x - x.min() + N // 2 + 1
iy, ix = np.round(y).astype(int), np.round(x).astype(int)
H, W = iy.max() + N // 2 + 1, ix.max() + N // 2 + 1
f = np.fft.fftfreq(N)
ramp = torch.from_numpy(
    (np.exp(-2j * np.pi * f[None, :, None] * (y - iy)[:, None, None]) * np.exp(-2j * np.pi * f[None, None, :] * (x - ix)[:, None, None])).astype(np.complex64)
)
P = torch.from_numpy(np.asarray(data[key]).astype(np.complex64))
P = P * torch.sqrt((a**2).sum() / n / (P.abs() ** 2).sum())
O = torch.ones((H, W), dtype=torch.complex64)
base = (torch.arange(N)[:, None] * W + torch.arange(N)[None, :]).reshape(-1)
start = torch.from_numpy((iy - N // 2) * W + ix - N // 2)
alpha = beta = 0.5
gamma = 0.7
rng = np.random.RandomState(0)
began = time.perf_counter()
for epoch in range(epochs):
    misfit = total = 0.0
    for part in np.array_split(rng.permutation(n), max(1, round(n / batch))):
        at = start[part][:, None] + base[None, :]
        o = O.reshape(-1)[at].reshape(-1, N, N)
        p = torch.fft.ifft2(torch.fft.fft2(P)[None] * ramp[part])
        field = torch.fft.fft2(o * p, norm="ortho")
        model = field.abs()
        seen = a[part]
        misfit += float((model - seen).abs().sum())
        total += float(seen.sum())
        chi = torch.fft.ifft2(field * (seen / (model + 1e-9) - 1), norm="ortho")
        step = torch.zeros(H * W, dtype=torch.complex64).index_add_(0, at.reshape(-1), (p.conj() * chi).reshape(-1))
        light = torch.zeros(H * W).index_add_(0, at.reshape(-1), (p.abs() ** 2).reshape(-1))
        back = torch.fft.ifft2((torch.fft.fft2(o.conj() * chi) * ramp[part].conj()).sum(0))
        bright = (o.abs() ** 2).sum(0)
        O = O + (gamma * step / ((1 - alpha) * light + alpha * light.max())).reshape(H, W)
        if epoch > 0:
            P = P + gamma * back / ((1 - beta) * bright + beta * bright.max())
print(json.dumps({"seconds": time.perf_counter() - began, "r": misfit / total}))
