"""The training step of `cargo run --release -p flowgrad-benches --bin fm_step`, in PyTorch.

x0 ~ N(0, I), t ~ U[0, 1), x_t = (1 - t) x0 + t x1, an MLP [D + 1 -> H x L -> D]
with SiLU, loss mean((v(t, x_t) - (x1 - x0))^2), its gradient, Adam 1e-3; f32, D = 2, on the CPU.
Prints one line for each size: `torch-eager BATCH HIDDEN LAYERS MEDIAN ms`.

    python3 benches/peers/fm_step_torch.py eager|compile [SECONDS] [wall|processor]

`compile` gives loss and interpolation to `torch.compile`, backward with them; Adam is the
fused one in both modes. With fewer seconds a size is measured for a shorter time. `processor` gives
the time all threads of the process spent on a processor, which on a shared machine is what can
be compared.
"""

import statistics
import sys
import time

import torch

DIMENSION = 2
SIZES = [(256, 64, 3), (256, 256, 3), (4096, 64, 3), (4096, 512, 4)]


def network(hidden, layers):
    widths = [DIMENSION + 1] + [hidden] * layers
    modules = []
    for inputs, outputs in zip(widths, widths[1:]):
        modules += [torch.nn.Linear(inputs, outputs), torch.nn.SiLU()]
    return torch.nn.Sequential(*modules, torch.nn.Linear(hidden, DIMENSION))


def measure(mode, seconds, clock, batch, hidden, layers):
    torch.manual_seed(0)
    net = network(hidden, layers)
    data = torch.randn(batch, DIMENSION)
    adam = torch.optim.Adam(net.parameters(), 1e-3, fused=True)

    def loss():
        x0 = torch.randn(batch, DIMENSION)
        t = torch.rand(batch, 1)
        xt = (1 - t) * x0 + t * data
        return ((net(torch.cat([xt, t], 1)) - (data - x0)) ** 2).mean()

    if mode == "compile":
        loss = torch.compile(loss)

    def step():
        value = loss()
        adam.zero_grad(set_to_none=True)
        value.backward()
        adam.step()
        return value

    for _ in range(5):
        value = step()
    assert torch.isfinite(value), "the loss is a number"
    times, start = [], time.perf_counter()
    while len(times) < 10 or time.perf_counter() - start < seconds:
        begin = clock()
        step()
        times.append(clock() - begin)
    return statistics.median(times) * 1e3


if __name__ == "__main__":
    mode = sys.argv[1] if len(sys.argv) > 1 else "eager"
    if mode not in ("eager", "compile"):
        sys.exit(f"fm_step_torch.py: mode {mode!r} is neither eager nor compile")
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 4.0
    clock = time.process_time if "processor" in sys.argv[3:] else time.perf_counter
    for size in SIZES:
        print(f"torch-{mode}", *size, f"{measure(mode, seconds, clock, *size):.3f} ms", flush=True)
