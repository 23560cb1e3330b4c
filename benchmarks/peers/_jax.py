"""One meta-gradient in JAX: `lax.scan` over inner steps with `jax.checkpoint` around each.

    python _jax.py PROBLEM.npz {convolution,patches}

Convolutions are XLA's own, or a matrix product with patches.
"""

import os
import sys

import _worker

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
from jax import lax


def conv(x, kernel, stride=1):
    """3x3, padded as TensorFlow's SAME."""
    if not PATCHES:
        return lax.conv_general_dilated(x, kernel, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    _, height, width, _ = x.shape
    low, high = (1, 1) if stride == 1 else (0, 1)
    x = jnp.pad(x, ((0, 0), (low, high), (low, high), (0, 0)))
    shifted = [x[:, i : i + height : stride, j : j + width : stride] for i in range(3) for j in range(3)]
    return jnp.concatenate(shifted, -1) @ kernel.reshape(-1, kernel.shape[-1])


def pool(x):
    """2x2; the first of equal values gets the gradient, as elsewhere."""
    n, h, w, c = x.shape
    x = x.reshape(n, h // 2, 2, w // 2, 2, c)
    x = jnp.where(x[:, :, :, :, 0] >= x[:, :, :, :, 1], x[:, :, :, :, 0], x[:, :, :, :, 1])
    return jnp.where(x[:, :, 0] >= x[:, :, 1], x[:, :, 0], x[:, :, 1])


def relu(x):
    return jnp.where(x > 0, x, _worker.SLOPE * x)


def upsample(x):
    return jnp.repeat(jnp.repeat(x, 2, 1), 2, 2)


def join(params):
    weights = {}
    for name, value in params.items():
        if name.endswith("/v"):
            g = params[name[:-1] + "g"]
            axes = tuple(axis for axis in range(value.ndim) if g.shape[axis] == 1)
            weights[name[:-2]] = value * (g * lax.rsqrt((value * value).sum(axes, keepdims=True) + 1e-12))
        elif not name.endswith("/g"):
            weights[name] = value
    return weights


def generate(w, image, noise, label):
    def norm(x, name):
        axes = tuple(range(x.ndim - 1))
        mean, variance = x.mean(axes), x.var(axes)
        x = (x - mean) * lax.rsqrt(variance + _worker.BATCH_NORM_EPSILON)
        return relu(x * w[f"{name}_norm/gamma"] + w[f"{name}_norm/beta"])

    x = norm(jnp.concatenate([noise, label], -1) @ w["dense_1/kernel"], "dense_1")
    x = norm(x @ w["dense_2/kernel"], "dense_2")
    x = upsample(x.reshape(len(x), image[0] // 4, image[1] // 4, -1))
    x = upsample(norm(conv(x, w["conv_1/kernel"]), "conv_1"))
    return 2 * jnp.tanh(conv(x, w["conv_2/kernel"]) + w["conv_2/bias"])


def learn(w, kind, x, means):
    found = {}

    def hidden(x, name):
        mean = found[name] = x.mean(tuple(range(x.ndim - 1))) if means is None else means[name]
        return relu(x + (w[f"{name}_norm/beta"] - mean))

    if kind == "conv2":
        for name in ("conv_1", "conv_2"):
            x = pool(hidden(conv(x, w[f"{name}/kernel"]), name))
        x = hidden(x.reshape(len(x), -1) @ w["dense_1/kernel"], "dense_1")
    else:
        for i in range(1, 6):
            x = hidden(conv(x, w[f"conv_{i}/kernel"], 2 if i in (2, 4) else 1), f"conv_{i}")
        x = x.mean((1, 2))
    return x @ w["logits/kernel"] + w["logits/bias"], found


def cross_entropy(logits, labels):
    return -(labels * jax.nn.log_softmax(logits)).sum(-1).mean()


def main():
    problem = _worker.Problem(sys.argv[1])
    config, tree = problem.config, jax.tree_util
    outer, start, data = (tree.tree_map(jnp.asarray, part) for part in (problem.outer, problem.learner, problem.data))

    def objective(outer, start, data):
        generator = {n.partition("/")[2]: v for n, v in outer.items() if n.startswith("generator/")}

        def lesson(params, images, labels):
            logits, means = learn(join(params), config["learner"], images, None)
            return cross_entropy(logits, labels), means

        @jax.checkpoint
        def step(state, x):
            params, velocity = state
            images = generate(join(generator), config["image"], x["noise"], x["label"])
            gradients, means = jax.grad(lesson, has_aux=True)(params, images, x["label"])
            velocity = tree.tree_map(lambda v, g: x["momentum"] * v + g, velocity, gradients)
            params = tree.tree_map(lambda p, v: p - x["rate"] * v, params, velocity)
            logits, _ = learn(join(params), config["learner"], x["image"], means)
            return (params, velocity), cross_entropy(logits, x["real_label"])

        xs = {
            "noise": outer["noise"],
            "rate": jax.nn.softplus(outer["learning_rate"]),
            "momentum": _worker.BELOW_ONE * jax.nn.sigmoid(outer["momentum"]),
            **data,
        }
        _, losses = lax.scan(step, (start, tree.tree_map(jnp.zeros_like, start)), xs)
        return losses.mean()

    gradient = jax.jit(jax.value_and_grad(objective))
    _worker.serve(lambda: jax.block_until_ready(gradient(outer, start, data)))


if __name__ == "__main__":
    PATCHES = sys.argv[2] == "patches"
    main()
