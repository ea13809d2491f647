"""Reference trajectories of the optimisers, from the formulas of the papers.

Written without looking at the Rust text: bias corrections are divided out as
Kingma and Ba print them, the recursions of PyTorch's documentation stand for
gradient descent with momentum, and the orthogonal factor of Muon comes from a
singular value decomposition, whose singular values are sent through the scalar
polynomial. Needs numpy. Writes optimisers.txt beside itself:

    python3 optimisers.py

Each line: the name, the number of the step, and 12 + 4 parameters after it.
"""

from pathlib import Path

import numpy as np

STEPS = 20
KEPT = (1, 2, 5, 20)


def start():
    k = np.arange(16)
    theta = ((7 * k) % 16 - 7.5) / 4
    return theta[:12].reshape(3, 4), theta[12:]


def gradient(w, b, n):
    """Of a quadratic with curvatures 0.2 to 1.7, and a push that changes."""
    theta = np.concatenate([w.ravel(), b])
    k = np.arange(16)
    g = (0.2 + 0.1 * k) * theta + ((5 * k + 3 * n) % 11 - 5) / 8
    return g[:12].reshape(3, 4), g[12:]


def rate(n, peak):
    return peak * (1 - n / 40)


def sgd(nesterov, momentum=0.9, decay=0.01, peak=0.05):
    def step(theta, g, state, n, _):
        eta = rate(n, peak)
        g = g + decay * theta
        buf = g if n == 1 else momentum * state["buf"] + g
        state["buf"] = buf
        g = g + momentum * buf if nesterov else buf
        return theta - eta * g

    return step


def adam(decay, peak=0.05, b1=0.9, b2=0.999, eps=1e-8):
    def step(theta, g, state, n, _):
        eta = rate(n, peak)
        m = state["m"] = b1 * state.get("m", 0.0) + (1 - b1) * g
        v = state["v"] = b2 * state.get("v", 0.0) + (1 - b2) * g**2
        m_hat, v_hat = m / (1 - b1**n), v / (1 - b2**n)
        theta = theta - eta * decay * theta
        return theta - eta * m_hat / (np.sqrt(v_hat) + eps)

    return step


def lion(peak=0.02, b1=0.9, b2=0.99, decay=0.1):
    def step(theta, g, state, n, _):
        eta = rate(n, peak)
        m = state.get("m", 0.0)
        update = np.sign(b1 * m + (1 - b1) * g)
        state["m"] = b2 * m + (1 - b2) * g
        return theta - eta * (update + decay * theta)

    return step


def orthogonal(g, steps=5, a=3.4445, b=-4.7750, c=2.0315):
    u, s, vt = np.linalg.svd(g, full_matrices=False)
    s = s / np.sqrt((s**2).sum())
    for _ in range(steps):
        s = a * s + b * s**3 + c * s**5
    return u @ np.diag(s) @ vt


def muon(peak=0.02, momentum=0.95, decay=0.1, adam_rate=0.5):
    rest = adam(decay=0.0, peak=peak * adam_rate)

    def step(theta, g, state, n, is_matrix):
        if not is_matrix:
            return rest(theta, g, state, n, is_matrix)
        eta = rate(n, peak)
        # The velocity as a running mean: the orthogonal factor is the same.
        buf = state["buf"] = momentum * state.get("buf", 0.0) + (1 - momentum) * g
        update = orthogonal((1 - momentum) * g + momentum * buf)
        inputs, outputs = theta.shape
        scale = np.sqrt(max(1.0, outputs / inputs))
        return theta * (1 - eta * decay) - eta * scale * update

    return step


FAMILY = {
    "sgd": sgd(False),
    "nesterov": sgd(True),
    "adam": adam(0.0),
    "adamw": adam(0.1),
    "lion": lion(),
    "muon": muon(),
}


def main():
    lines = []
    for name, step in FAMILY.items():
        (w, b), w_state, b_state = start(), {}, {}
        for n in range(1, STEPS + 1):
            gw, gb = gradient(w, b, n)
            w = step(w, gw, w_state, n, True)
            b = step(b, gb, b_state, n, False)
            if n in KEPT:
                numbers = " ".join(repr(float(x)) for x in [*w.ravel(), *b])
                lines.append(f"{name} {n} {numbers}")
    Path(__file__).with_suffix(".txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
