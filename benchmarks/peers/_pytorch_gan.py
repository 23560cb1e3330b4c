"""One iteration of an unrolled GAN in plain PyTorch: functional Adam steps, `create_graph`. See `benchmarks.unrolled_gan`.

python _pytorch_gan.py STEPS
"""

import itertools
import sys

import _worker
import torch
import torch.nn.functional as F

torch.set_num_threads(2)
BATCH, NOISE = 512, 256
RATE, BETA_1, BETA_2, EPSILON = 1e-4, 0.5, 0.999, 1e-7


def perceptron(weights, x):
    for kernel, bias in zip(weights[:-2:2], weights[1:-2:2]):
        x = torch.relu(torch.addmm(bias, x, kernel))
    return torch.addmm(weights[-1], x, weights[-2])


def fresh(*widths):
    made = []
    for inputs, outputs in itertools.pairwise(widths):
        made += [0.8 * torch.nn.init.orthogonal_(torch.empty(inputs, outputs)), torch.zeros(outputs)]
    return [w.requires_grad_() for w in made]


def f(d, real, fake):
    real, fake = (perceptron(d, x / 4)[:, 0] for x in (real, fake))
    return F.logsigmoid(real).mean() + F.logsigmoid(-fake).mean()


def adam(weights, gradients, slots, t):
    first = [BETA_1 * m + (1 - BETA_1) * g for m, g in zip(slots[0], gradients)]
    second = [BETA_2 * n + (1 - BETA_2) * g * g for n, g in zip(slots[1], gradients)]
    moved = [
        w - RATE * m / (1 - BETA_1**t) / (torch.sqrt(n / (1 - BETA_2**t) + 1e-20) + EPSILON)
        for w, m, n in zip(weights, first, second)
    ]
    return moved, [first, second]


def batch():
    angles = 2 * torch.pi * torch.randint(0, 8, (BATCH,)) / 8
    real = 2 * torch.stack([torch.cos(angles), torch.sin(angles)], 1) + 0.02 * torch.randn(BATCH, 2)
    return real, torch.randn(BATCH, NOISE)


def main():
    steps, t = int(sys.argv[1]), 0
    g, d = fresh(NOISE, 128, 128, 2), fresh(2, 128, 1)
    moments = {name: [[torch.zeros_like(w) for w in weights] for _ in range(2)] for name, weights in (("g", g), ("d", d))}

    def leaves(weights):
        return [w.detach().requires_grad_() for w in weights]

    def run():
        nonlocal g, d, t
        t += 1
        real, noise = batch()
        fake, ahead, slots = perceptron(g, noise), d, moments["d"]
        for k in range(steps):
            gradients = torch.autograd.grad(-f(ahead, real, fake), ahead, create_graph=True)
            ahead, slots = adam(ahead, gradients, slots, t + k)
        loss = f(ahead, real, fake)
        with torch.no_grad():
            g, moments["g"] = adam(g, torch.autograd.grad(loss, g), moments["g"], t)
        g = leaves(g)
        real, noise = batch()
        gradients = torch.autograd.grad(-f(d, real, perceptron(g, noise).detach()), d)
        with torch.no_grad():
            d, moments["d"] = adam(d, gradients, moments["d"], t)
        d = leaves(d)
        return loss.detach().numpy(), {}

    run()
    _worker.serve(run)


if __name__ == "__main__":
    main()
