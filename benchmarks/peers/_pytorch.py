"""One meta-gradient in plain PyTorch: functional_call, create_graph, and `torch.utils.checkpoint` around each inner step.

python _pytorch.py PROBLEM.npz {contiguous,channels_last} {plain,compiled}
"""

import sys

import _worker
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call
from torch.utils import checkpoint

torch.set_num_threads(2)


def join(params):
    """Weight normalisation: {"a.v", "a.g"} -> {"a.kernel"}; the rest stays."""
    weights = {}
    for name, value in params.items():
        if name.endswith(".v"):
            g = params[name[:-1] + "g"]
            axes = [axis for axis in range(value.dim()) if g.shape[axis] == 1]
            weights[name[:-2]] = value * (g * torch.rsqrt((value * value).sum(axes, keepdim=True) + 1e-12))
        elif not name.endswith(".g"):
            weights[name] = value
    return weights


class Generator(nn.Module):
    """GTN paper, A.1; the weights are given by name at each call."""

    def __init__(self, weights, image):
        super().__init__()
        self.image = image
        for name, value in weights.items():
            self.register_buffer(name.replace(".", "_"), value)

    def norm(self, x, name):
        gamma, beta = getattr(self, f"{name}_norm_gamma"), getattr(self, f"{name}_norm_beta")
        x = F.batch_norm(x, None, None, gamma, beta, training=True, eps=_worker.BATCH_NORM_EPSILON)
        return F.leaky_relu(x, _worker.SLOPE)

    def forward(self, noise, label):
        rows, columns = self.image[0] // 4, self.image[1] // 4
        x = self.norm(torch.cat([noise, label], -1) @ self.dense_1_kernel, "dense_1")
        x = self.norm(x @ self.dense_2_kernel, "dense_2")
        x = x.reshape(len(x), rows, columns, -1).permute(0, 3, 1, 2).contiguous(memory_format=FORMAT)
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        x = self.norm(F.conv2d(x, self.conv_1_kernel, padding=1), "conv_1")
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        return 2 * torch.tanh(F.conv2d(x, self.conv_2_kernel, self.conv_2_bias, padding=1))


class Learner(nn.Module):
    """`conv2` or `conv5` with BatchNorm that only subtracts the mean; returns logits and the batch's means."""

    def __init__(self, weights, kind):
        super().__init__()
        self.kind = kind
        for name, value in weights.items():
            self.register_buffer(name.replace(".", "_"), value)

    def forward(self, x, means):
        """`means`: None takes the batch's own."""
        found = {}

        def hidden(x, name):
            axes = [0, 2, 3] if x.dim() == 4 else [0]
            mean = x.mean(axes) if means is None else means[name]
            found[name] = mean
            shape = [1, -1, 1, 1] if x.dim() == 4 else [1, -1]
            return F.leaky_relu(x + (getattr(self, f"{name}_norm_beta") - mean).view(shape), _worker.SLOPE)

        if self.kind == "conv2":
            for name in ("conv_1", "conv_2"):
                x = F.max_pool2d(hidden(F.conv2d(x, getattr(self, f"{name}_kernel"), padding=1), name), 2)
            x = x.permute(0, 2, 3, 1).reshape(len(x), -1)
            x = hidden(x @ self.dense_1_kernel, "dense_1")
        else:
            for i in range(1, 6):
                kernel = getattr(self, f"conv_{i}_kernel")
                x = F.conv2d(F.pad(x, (0, 1, 0, 1)), kernel, stride=2) if i in (2, 4) else F.conv2d(x, kernel, padding=1)
                x = hidden(x, f"conv_{i}")
            x = x.mean([2, 3])
        return x @ self.logits_kernel + self.logits_bias, found


def tensors(arrays):
    """Kernels of convolutions come as [h, w, in, out] and become [out, in, h, w]."""
    made = {}
    for name, value in arrays.items():
        value = torch.from_numpy(value)
        made[name.replace("/", ".")] = (
            value.permute(3, 2, 0, 1).contiguous() if name.endswith(("/v", "/g")) and value.dim() == 4 else value
        )
    return made


def call(module, weights, *arguments):
    return functional_call(module, {name.replace(".", "_"): value for name, value in weights.items()}, arguments)


def cross_entropy(logits, labels):
    return -(labels * F.log_softmax(logits, -1)).sum(-1).mean()


def main():
    problem = _worker.Problem(sys.argv[1])
    outer = {name: value.requires_grad_() for name, value in tensors(problem.outer).items()}
    start = tensors(problem.learner)
    data = {name: torch.from_numpy(value) for name, value in problem.data.items()}
    data["image"] = data["image"].permute(0, 1, 4, 2, 3).contiguous()
    image, steps = problem.config["image"], problem.config["steps"]
    in_generator = [name for name in outer if name.partition(".")[0] == "generator"]
    generator = Generator(join({n.partition(".")[2]: outer[n].detach() for n in in_generator}), image)
    learner = Learner(join(start), problem.config["learner"])

    def step(t, rate, momentum, noise, names, *values):
        """One inner step and the loss on a real batch after it; everything differentiable is an argument."""
        count = len(start)
        made, params, velocity = values[: len(in_generator)], values[-2 * count : -count], values[-count:]
        weights = join({n.partition(".")[2]: v for n, v in zip(in_generator, made)})
        images = call(generator, weights, noise, data["label"][t])
        params = [p if p.requires_grad else p.detach().requires_grad_() for p in params]
        logits, means = call(learner, join(dict(zip(names, params))), images, None)
        loss = cross_entropy(logits, data["label"][t])
        gradients = torch.autograd.grad(loss, params, create_graph=True)
        velocity = [momentum * v + g for v, g in zip(velocity, gradients)]
        params = [p - rate * v for p, v in zip(params, velocity)]
        real = data["image"][t].contiguous(memory_format=FORMAT)
        judged = cross_entropy(call(learner, join(dict(zip(names, params))), real, means)[0], data["real_label"][t])
        return (judged, *params, *velocity)

    def run():
        rates = F.softplus(outer["learning_rate"])
        momenta = _worker.BELOW_ONE * torch.sigmoid(outer["momentum"])
        names = list(start)
        params = list(start.values())
        velocity = [torch.zeros_like(p) for p in params]
        total = 0.0
        made = [outer[n] for n in in_generator]
        for t in range(steps):
            arguments = (t, rates[t], momenta[t], outer["noise"][t], names, *made, *params, *velocity)
            judged, *rest = checkpoint.checkpoint(step, *arguments, use_reentrant=False, preserve_rng_state=False)
            params, velocity = rest[: len(start)], rest[len(start) :]
            total = total + judged / steps
        gradients = torch.autograd.grad(total, list(outer.values()))
        back = {}
        for name, value in zip(outer, gradients):
            kernel = name.endswith((".v", ".g")) and value.dim() == 4
            back[name.replace(".", "/")] = (value.permute(2, 3, 1, 0) if kernel else value).numpy()
        return total.detach().numpy(), back

    _worker.serve(run)


if __name__ == "__main__":
    FORMAT = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}[sys.argv[2]]
    main()
