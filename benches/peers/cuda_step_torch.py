"""The training step of `benches/src/device_step.rs` on a GPU, in PyTorch.

x1 = data[r], x0 ~ N(0, I), t ~ U[0, 1), x_t = (1 - t) x0 + t x1, an MLP [D + 1 -> H x L -> D]
with SiLU, loss mean((v(t, x_t) - (x1 - x0))^2), its gradient, AdamW 1e-3 and a moving average of
the parameters; D = 2, factors of products rounded to TF32. Prints one line for each size:
`torch-MODE-Tf32 BATCH HIDDEN LAYERS MEDIAN ms`, the time of a step when many are queued.

    python3 cuda_step_torch.py eager|compile|graph SECONDS BATCH,HIDDEN,LAYERS ... [--device cpu]

`compile` gives loss and interpolation to `torch.compile`; `graph` records a whole step as a CUDA
graph. Exits with 77 and a reason where PyTorch or a GPU is missing. `--device cpu` is for trying
the script, and says so in the name.
"""

import statistics
import sys
import time

SKIPPED = 77
DIMENSION = 2


def network(torch, hidden, layers):
    widths = [DIMENSION + 1] + [hidden] * layers
    modules = []
    for inputs, outputs in zip(widths, widths[1:]):
        modules += [torch.nn.Linear(inputs, outputs), torch.nn.SiLU()]
    return torch.nn.Sequential(*modules, torch.nn.Linear(hidden, DIMENSION))


def stepper(torch, mode, device, batch, hidden, layers):
    """A function that does a step, and the loss it leaves."""
    torch.manual_seed(0)
    net = network(torch, hidden, layers).to(device)
    data = torch.randn(batch, DIMENSION, device=device)
    parameters = list(net.parameters())
    average = [p.detach().clone() for p in parameters]
    on_gpu = device == "cuda"
    adam = torch.optim.AdamW(parameters, 1e-3, weight_decay=0.0, fused=True, capturable=on_gpu)

    def loss():
        x1 = data[torch.randint(batch, (batch,), device=device)]
        x0 = torch.randn(batch, DIMENSION, device=device)
        t = torch.rand(batch, 1, device=device)
        xt = (1 - t) * x0 + t * x1
        return ((net(torch.cat([xt, t], 1)) - (x1 - x0)) ** 2).mean()

    if mode == "compile":
        # Else the sizes before would make this one's extents variables.
        torch.compiler.reset()
        loss = torch.compile(loss)

    def step():
        value = loss()
        adam.zero_grad(set_to_none=True)
        value.backward()
        adam.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, parameters, 1e-3)
        return value

    if mode != "graph":
        return step
    # Before a recording, on a stream beside the usual one, as PyTorch asks.
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(5):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    adam.zero_grad(set_to_none=True)
    with torch.cuda.graph(graph):
        value = step()

    def replay():
        graph.replay()
        return value

    return replay


def measure(torch, mode, device, seconds, size):
    wait = torch.cuda.synchronize if device == "cuda" else (lambda: None)
    step = stepper(torch, mode, device, *size)
    for _ in range(5):
        value = step()
    wait()
    assert torch.isfinite(value), "the loss is a number"
    times, start, count = [], time.perf_counter(), 1
    while len(times) < 10 or time.perf_counter() - start < seconds:
        begin = time.perf_counter()
        for _ in range(count):
            step()
        wait()
        own = (time.perf_counter() - begin) / count
        times.append(own)
        # Some milliseconds between two waits.
        count = max(1, min(200, int(5e-3 / own)))
    return statistics.median(times) * 1e3


def main(words):
    device = "cuda"
    if words[-2:] == ["--device", "cpu"]:
        device, words = "cpu", words[:-2]
    if len(words) < 3 or words[0] not in ("eager", "compile", "graph"):
        sys.exit("cuda_step_torch.py: expected eager|compile|graph SECONDS BATCH,HIDDEN,LAYERS ...")
    mode, seconds = words[0], float(words[1])
    sizes = [tuple(int(n) for n in word.split(",")) for word in words[2:]]
    try:
        import torch
    except ImportError as reason:
        print(f"skipped: {reason}")
        return SKIPPED
    if device == "cuda" and not torch.cuda.is_available():
        print("skipped: PyTorch finds no GPU")
        return SKIPPED
    torch.set_float32_matmul_precision("high")
    name = f"torch-{mode}-Tf32" if device == "cuda" else f"torch-{mode}-tried-on-cpu"
    for size in sizes:
        print(name, *size, f"{measure(torch, mode, device, seconds, size):.4f} ms", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
