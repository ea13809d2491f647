"""Writes tests/data/peer_gradient.json: loss and gradient of one step, by JAX in f64.

Every number that goes in is made by one integer formula, so that anyone can make it again:
number(i) = ((i * 2654435761) mod 2^32) / 2^32 - 1/2, with i counting from 1 through the
leaves in order: each layer's weight [inputs, outputs] (times 1/sqrt(inputs)) and its bias,
then x0 [8, 2] (times 4), x1 [8, 2] (times 4), t [8, 1] (plus 1/2).
The network is [3 -> 16 -> 16 -> 16 -> 2] with SiLU on [x_t, t]; the loss is
mean((v(t, x_t) - (x1 - x0))^2).
"""

import json

import jax
import jax.numpy as jnp

jax.config.update("jax_enable_x64", True)
BATCH, WIDTHS = 8, [3, 16, 16, 16, 2]
count = 0


def numbers(*shape):
    global count
    size = 1
    for extent in shape:
        size *= extent
    values = [((i * 2654435761) % 2**32) / 2**32 - 0.5 for i in range(count + 1, count + size + 1)]
    count += size
    return jnp.array(values).reshape(shape)


parameters = []
for inputs, outputs in zip(WIDTHS, WIDTHS[1:]):
    parameters += [numbers(inputs, outputs) * inputs**-0.5, numbers(outputs)]
x0, x1, t = 4 * numbers(BATCH, 2), 4 * numbers(BATCH, 2), numbers(BATCH, 1) + 0.5


def loss(parameters):
    h = jnp.concatenate([(1 - t) * x0 + t * x1, t], axis=1)
    for weight, bias in zip(parameters[:-2:2], parameters[1:-2:2]):
        h = jax.nn.silu(h @ weight + bias)
    v = h @ parameters[-2] + parameters[-1]
    return jnp.mean((v - (x1 - x0)) ** 2)


value, gradient = jax.value_and_grad(loss)(parameters)
leaves = [leaf.reshape(-1).tolist() for leaf in gradient]
with open("tests/data/peer_gradient.json", "w") as file:
    json.dump({"about": "JAX " + jax.__version__ + ", f64; see benches/peers/reference_gradient.py",
               "loss": float(value), "gradient": leaves}, file)
