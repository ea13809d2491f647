"""The training step of `cargo run --release -p flowgrad-benches --bin fm_step`, in JAX.

x0 ~ N(0, I), t ~ U[0, 1), x_t = (1 - t) x0 + t x1, an MLP [D + 1 -> H x L -> D]
with SiLU, loss mean((v(t, x_t) - (x1 - x0))^2), its gradient, Adam 1e-3; f32, D = 2.
Prints one line for each size: `jax BATCH HIDDEN LAYERS MEDIAN ms`.

    python3 benches/peers/fm_step_jax.py [SECONDS] [wall|processor]

With fewer seconds a size is measured for a shorter time. `processor` gives the time all
threads of the process spent on a processor, which on a shared machine is what can be compared.
"""

import statistics
import sys
import time

import jax
import jax.numpy as jnp
import optax

DIMENSION = 2
SIZES = [(256, 64, 3), (256, 256, 3), (4096, 64, 3), (4096, 512, 4)]


def initial(key, widths):
    parameters = []
    for inputs, outputs in zip(widths, widths[1:]):
        key, weight_key = jax.random.split(key)
        bound = inputs**-0.5
        weight = jax.random.uniform(weight_key, (inputs, outputs), minval=-bound, maxval=bound)
        parameters.append((weight, jnp.zeros(outputs)))
    return parameters


def velocity(parameters, t, x):
    h = jnp.concatenate([x, t], axis=1)
    for weight, bias in parameters[:-1]:
        h = jax.nn.silu(h @ weight + bias)
    weight, bias = parameters[-1]
    return h @ weight + bias


def measure(seconds, clock, batch, hidden, layers):
    key = jax.random.PRNGKey(0)
    parameters = initial(key, [DIMENSION + 1] + [hidden] * layers + [DIMENSION])
    data = jax.random.normal(key, (batch, DIMENSION))
    adam = optax.adam(1e-3)
    state = adam.init(parameters)

    def loss(parameters, key):
        noise_key, time_key = jax.random.split(key)
        x0 = jax.random.normal(noise_key, (batch, DIMENSION))
        t = jax.random.uniform(time_key, (batch, 1))
        xt = (1 - t) * x0 + t * data
        return jnp.mean((velocity(parameters, t, xt) - (data - x0)) ** 2)

    @jax.jit
    def step(parameters, state, key):
        key, own = jax.random.split(key)
        value, gradient = jax.value_and_grad(loss)(parameters, own)
        update, state = adam.update(gradient, state)
        return optax.apply_updates(parameters, update), state, key, value

    for _ in range(5):
        parameters, state, key, value = step(parameters, state, key)
    jax.block_until_ready(value)
    times, start = [], time.perf_counter()
    while len(times) < 10 or time.perf_counter() - start < seconds:
        begin = clock()
        parameters, state, key, value = step(parameters, state, key)
        jax.block_until_ready((parameters, value))
        times.append(clock() - begin)
    return statistics.median(times) * 1e3


if __name__ == "__main__":
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 4.0
    clock = time.process_time if "processor" in sys.argv[2:] else time.perf_counter
    for size in SIZES:
        print("jax", *size, f"{measure(seconds, clock, *size):.3f} ms", flush=True)
