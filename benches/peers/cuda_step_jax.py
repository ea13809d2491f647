"""The training step of `benches/src/device_step.rs` on a GPU, in JAX: fifty steps in a `lax.scan`.

x1 = data[r], x0 ~ N(0, I), t ~ U[0, 1), x_t = (1 - t) x0 + t x1, an MLP [D + 1 -> H x L -> D]
with SiLU, loss mean((v(t, x_t) - (x1 - x0))^2), its gradient, Adam 1e-3 and a moving average of
the parameters; D = 2, factors of products rounded to TF32. Prints one line for each size:
`jax-scan-Tf32 BATCH HIDDEN LAYERS MEDIAN ms`, a fiftieth of the time of a scan.

    python3 cuda_step_jax.py SECONDS BATCH,HIDDEN,LAYERS ... [--device cpu]

Exits with 77 and a reason where JAX or a GPU is missing. `--device cpu` is for trying the script,
and says so in the name.
"""

import statistics
import sys
import time

SKIPPED = 77
DIMENSION = 2
STEPS = 50


def measure(jax, seconds, size):
    jnp = jax.numpy
    batch, hidden, layers = size
    key = jax.random.PRNGKey(0)
    widths = [DIMENSION + 1] + [hidden] * layers + [DIMENSION]
    parameters = []
    for inputs, outputs in zip(widths, widths[1:]):
        key, own = jax.random.split(key)
        bound = inputs**-0.5
        weight = jax.random.uniform(own, (inputs, outputs), minval=-bound, maxval=bound)
        parameters.append((weight, jnp.zeros(outputs)))
    data = jax.random.normal(key, (batch, DIMENSION))
    zeros = jax.tree.map(jnp.zeros_like, parameters)

    def velocity(parameters, t, x):
        h = jnp.concatenate([x, t], axis=1)
        for weight, bias in parameters[:-1]:
            h = jax.nn.silu(h @ weight + bias)
        weight, bias = parameters[-1]
        return h @ weight + bias

    def loss(parameters, key):
        noise, times, rows = jax.random.split(key, 3)
        x1 = data[jax.random.randint(rows, (batch,), 0, batch)]
        x0 = jax.random.normal(noise, (batch, DIMENSION))
        t = jax.random.uniform(times, (batch, 1))
        xt = (1 - t) * x0 + t * x1
        return jnp.mean((velocity(parameters, t, xt) - (x1 - x0)) ** 2)

    def step(state, _):
        parameters, average, m, v, n, key = state
        key, own = jax.random.split(key)
        value, slope = jax.value_and_grad(loss)(parameters, own)
        n = n + 1
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, slope)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, slope)
        root = jnp.sqrt(1 - 0.999**n)
        rate = 1e-3 * root / (1 - 0.9**n)
        move = lambda p, m, v: p - rate * m / (jnp.sqrt(v) + 1e-8 * root)
        parameters = jax.tree.map(move, parameters, m, v)
        average = jax.tree.map(lambda a, p: 0.999 * a + 0.001 * p, average, parameters)
        return (parameters, average, m, v, n, key), value

    scan = jax.jit(lambda state: jax.lax.scan(step, state, length=STEPS))
    state = (parameters, parameters, zeros, zeros, jnp.zeros(()), key)
    for _ in range(2):
        state, values = jax.block_until_ready(scan(state))
    assert jnp.isfinite(values).all(), "the loss is a number"
    times, start = [], time.perf_counter()
    while len(times) < 10 or time.perf_counter() - start < seconds:
        begin = time.perf_counter()
        state, values = jax.block_until_ready(scan(state))
        times.append((time.perf_counter() - begin) / STEPS)
    return statistics.median(times) * 1e3


def main(words):
    device = "gpu"
    if words[-2:] == ["--device", "cpu"]:
        device, words = "cpu", words[:-2]
    if len(words) < 2:
        sys.exit("cuda_step_jax.py: expected SECONDS BATCH,HIDDEN,LAYERS ...")
    seconds = float(words[0])
    sizes = [tuple(int(n) for n in word.split(",")) for word in words[1:]]
    try:
        import jax
    except ImportError as reason:
        print(f"skipped: {reason}")
        return SKIPPED
    if device == "gpu" and jax.default_backend() != "gpu":
        print("skipped: JAX finds no GPU")
        return SKIPPED
    jax.config.update("jax_default_matmul_precision", "tensorfloat32")
    name = "jax-scan-Tf32" if device == "gpu" else "jax-scan-tried-on-cpu"
    for size in sizes:
        print(name, *size, f"{measure(jax, seconds, size):.4f} ms", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
