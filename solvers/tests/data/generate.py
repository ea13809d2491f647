"""Writes references.json: maps, facts, solutions and flows for the tests of the
solvers, by code that shares nothing with the crate but its coefficients.

    pip install mpmath==1.3.0 scipy==1.17.1
    python3 generate.py            # writes the file
    python3 generate.py --check    # says how far the file is from what is found

The tableaux are read from solvers/src as they are printed there; what is made
of them is computed here with 50 decimal digits. Solutions come from
extrapolated midpoint rules, derivatives of flows from central differences of
these. What scipy needs for a problem comes from scipy, and is kept from the file
where another version or none is installed.
"""

import json
import pathlib
import re
import sys

import mpmath
from mpmath import mp, mpf

mp.dps = 50
HERE = pathlib.Path(__file__).resolve().parent
SOURCES = HERE.parent.parent / "src"
FILE = HERE / "references.json"

ABOUT = (
    "Written by generate.py. maps: Runge-Kutta maps on two problems with 25 digits: one "
    "step of size h from (t0, y0), 16 steps of h, a step back, the error estimates h "
    "sum(e_i k_i), dense output at theta. forced_damped_pendulum: y'=(y2, -sin y1 - 0.2 "
    "y2 + 0.5 cos t); lotka_volterra: x'=x(1.5-y), y'=y(x-3). facts: orders, error norms "
    "and stability intervals of the tableaux. problems: solutions with 22 digits, and "
    "what scipy 1.17.1 needs for them. flows: derivatives of the flow map with 17 "
    "digits; brusselator: x'=1-4x+x^2 y, y'=3x-x^2 y with A=1, B=3."
)

# The name in this file, the constant in the sources.
METHODS = {
    "euler": "EULER",
    "midpoint": "MIDPOINT",
    "heun2": "HEUN",
    "ralston2": "RALSTON",
    "kutta3": "KUTTA3",
    "ssprk33": "SSPRK33",
    "rk4": "RK4",
    "rk38": "THREE_EIGHTHS",
    "bogacki_shampine32": "BOGACKI_SHAMPINE",
    "dormand_prince54": "DORMAND_PRINCE",
    "tsitouras54": "TSITOURAS",
    "dop853": "DOP853",
}


# Reading a tableau.


def number(text):
    p, _, q = text.partition("/")
    return mpf(p) / mpf(q or 1)


def strip(text):
    return re.sub(r"//[^\n]*", "", text)


def block(text, begin):
    """What stands between the bracket that opens at `begin` and its partner."""
    depth = 0
    for place in range(begin, len(text)):
        depth += (text[place] in "[({") - (text[place] in "])}")
        if depth == 0:
            return text[begin + 1 : place]
    raise ValueError("a bracket is not closed")


def cells(text):
    """The numbers of a list, in whatever way they are written."""
    forms = r'frac\(\s*([-\d_]+)\s*,\s*([\d_]+)\s*\)|(?:Printed|p)\("([^"]*)"\)|\b(ONE|O)\b'
    found = []
    for p, q, printed, name in re.findall(forms, text):
        if name:
            found.append(mpf(name == "ONE"))
        elif printed:
            found.append(number(printed))
        else:
            found.append(mpf(p.replace("_", "")) / mpf(q.replace("_", "")))
    return found


def rows(text, stages, source):
    """The rows of a list of lists; `row(&[…])` names its entries."""
    found, place = [], 0
    while match := re.compile(r"row\(&\[|\[|\bB\b").search(text, place):
        if match.group() == "B":
            text_of_b = source[source.index("const B:") :]
            inner = block(text_of_b, text_of_b.index("&[") + 1)
            place = match.end()
        else:
            inner = block(text, match.end() - 1)
            place = match.end() + len(inner)
        if match.group() == "[":
            found.append(cells(inner))
        else:
            entries = re.findall(r'\((\d+),\s*"([^"]*)"\)', inner)
            row = [mpf(0)] * stages
            for i, text_of_entry in entries:
                row[int(i)] = number(text_of_entry)
            found.append(row)
    return found


class Method:
    """A tableau: c, a, b, differences of embedded weights, dense output."""

    def __init__(self, constant):
        files = ("methods.rs", "tsitouras.rs", "dop853.rs")
        texts = [strip((SOURCES / name).read_text()) for name in files]
        head = f"pub const {constant}_TABLEAU:"
        source = next(text for text in texts if head in text)
        text = source[source.index(head) :]
        end_of_text = text.index("\n}") + 2
        text, rest = text[:end_of_text], text[end_of_text:]
        field = lambda name: re.search(rf"\b{name}:\s*", text).end()
        self.order = int(re.match(r"\d+", text[field("order") :]).group())
        self.c = cells(block(text, field("c")))
        s = len(self.c)
        self.a = rows(block(text, field("a")), s, source)
        after = text[field("b") :]
        self.b = rows(after, s, source)[0] if after[0] == "B" else cells(block(after, 0))
        self.error = []
        estimate = text[field("estimate") :]
        if estimate.startswith("Estimate::Embedded("):
            self.error = [cells(block(estimate, len("Estimate::Embedded")))]
        elif estimate.startswith("Estimate::FifthAndThird("):
            inner = block(estimate, len("Estimate::FifthAndThird"))
            self.error = rows(inner, s, source)
        elif re.match(r"\s*\.embedded\(\s*\[", rest):
            start = rest.index("[")
            hat = cells(block(rest, start))
            self.error = [[x - y for x, y in zip(hat, self.b, strict=True)]]
        dense = text[field("dense") :]
        self.smooth = dense.startswith("Dense::smooth")
        extra = block(dense, dense.index("&[") + 1)
        extra = rows(extra, s, source)
        # The stage at the result, if there is one.
        end = [i for i in range(s) if self.c[i] == 1 and self.a[i] == self.b]
        first = [mpf(i == 0) for i in range(s)]
        self.dense = [self.b, [x - y for x, y in zip(first, self.b)]]
        if self.smooth:
            last = [mpf(i == end[0]) for i in range(s)]
            self.dense.append([2 * b - x - y for b, x, y in zip(self.b, first, last)])
        self.dense += extra

    def stages(self, f, t, y, h):
        k = []
        for c, row in zip(self.c, self.a):
            at = [y[n] + h * sum(x * k[j][n] for j, x in enumerate(row[: len(k)])) for n in range(len(y))]
            k.append(f(t + c * h, at))
        return k

    def sum(self, weights, k, h):
        return [h * sum(w * stage[n] for w, stage in zip(weights, k)) for n in range(len(k[0]))]

    def step(self, f, t, y, h):
        return plus(y, self.sum(self.b, self.stages(f, t, y, h), h))


def plus(u, v):
    return [a + b for a, b in zip(u, v, strict=True)]


# Fields.


def forced_damped_pendulum(t, y, damping=mpf("0.2"), drive=mpf("0.5")):
    return [y[1], -mp.sin(y[0]) - damping * y[1] + drive * mp.cos(t)]


def lotka_volterra(_, y, a=mpf("1.5"), b=mpf(1), c=mpf(3), d=mpf(1)):
    return [y[0] * (a - b * y[1]), y[1] * (d * y[0] - c)]


def brusselator(_, y, A=mpf(1), B=mpf(3)):
    square = y[0] ** 2 * y[1]
    return [A + square - (B + 1) * y[0], B * y[0] - square]


FIELDS = {
    "harmonic_oscillator": lambda t, y: [y[1], -4 * y[0]],
    "lotka_volterra": lotka_volterra,
    "pendulum": lambda t, y: [y[1], -mp.sin(y[0])],
    "logistic": lambda t, y: [y[0] * (1 - y[0])],
    "forced_damped_pendulum": forced_damped_pendulum,
    "brusselator": brusselator,
}
DIVERGENCES = {
    "lotka_volterra": lambda y: mpf("1.5") - y[1] + y[0] - 3,
    "brusselator": lambda y: 2 * y[0] * y[1] - 4 - y[0] ** 2,
    "forced_damped_pendulum": lambda y: -mpf("0.2"),
}
PARAMETERS = {
    "lotka_volterra": {"a": "1.5", "b": "1", "c": "3", "d": "1"},
    "brusselator": {"A": "1", "B": "3"},
    "forced_damped_pendulum": {"damping": "0.2", "drive": "0.5"},
}


def solution(f, t0, t1, y, pieces_a_unit=16, columns=16):
    """Midpoint rules with 2, 4, …, 2·columns steps, extrapolated in h²."""
    count = int((t1 - t0) * pieces_a_unit)
    H = (t1 - t0) / count
    for piece in range(count):
        t, table = t0 + piece * H, []
        for row in range(columns):
            steps = 2 * (row + 1)
            h = H / steps
            before, now = y, plus(y, [h * x for x in f(t, y)])
            for i in range(1, steps):
                slope = f(t + i * h, now)
                before, now = now, [b + 2 * h * x for b, x in zip(before, slope)]
            entries = [now]
            for column in range(row):
                ratio = mpf(steps) / (2 * (row - column))
                finer, coarser = entries[-1], table[column]
                factor = 1 / (ratio**2 - 1)
                entries.append([a + (a - b) * factor for a, b in zip(finer, coarser)])
            table = entries
        y = table[-1]
    return y


# Trees: a tree is the sorted tuple of its children.


def trees(most):
    """For each number of nodes the trees, children in order."""
    by_size = {1: [()]}

    def forests(nodes, limit):
        """Sorted tuples of trees with as many nodes, none after `limit`."""
        if nodes == 0:
            yield ()
            return
        for size in range(1, nodes + 1):
            for place, tree in enumerate(by_size[size]):
                if limit is not None and (size, place) > limit:
                    continue
                for rest in forests(nodes - size, (size, place)):
                    yield (tree, *rest)

    for size in range(2, most + 1):
        by_size[size] = list(forests(size - 1, None))
    return by_size


def size(tree):
    return 1 + sum(map(size, tree))


def density(tree):
    product = size(tree)
    for child in tree:
        product *= density(child)
    return product


def symmetry(tree):
    product = 1
    for child in set(tree):
        count = tree.count(child)
        product *= symmetry(child) ** count * int(mp.factorial(count))
    return product


def weights(method, tree, known):
    """Φ of each stage."""
    if tree not in known:
        phi = [mpf(1)] * len(method.c)
        for child in tree:
            inner = weights(method, child, known)
            sums = [sum(x * w for x, w in zip(row, inner) if x) for row in method.a]
            phi = [p * s for p, s in zip(phi, sums)]
        known[tree] = phi
    return known[tree]


TREES = trees(9)
assert [len(TREES[n]) for n in range(1, 10)] == [1, 1, 2, 4, 9, 20, 48, 115, 286]
# What is below is zero: coefficients have 29 digits or more.
ZERO = mpf("1e-20")


def leading(method, row, wanted):
    """The order to which `row` gives what is wanted, and the norm of the rest."""
    known = {}
    for nodes in range(1, 10):
        defects = []
        for tree in TREES[nodes]:
            phi = weights(method, tree, known)
            found = sum(x * p for x, p in zip(row, phi))
            defects.append((found - wanted(tree)) / symmetry(tree))
        if any(abs(x) > ZERO for x in defects):
            return nodes - 1, mp.sqrt(sum(x**2 for x in defects))
    raise ValueError("no tree fails")


def stability(method):
    powers, coefficients = [mpf(1)] * len(method.c), [mpf(1)]
    for _ in method.c:
        coefficients.append(sum(b * p for b, p in zip(method.b, powers)))
        powers = [sum(x * p for x, p in zip(row, powers)) for row in method.a]
    return coefficients


def exit_of(stable):
    """The last stable point before the first step of 1e-3 that is not."""
    step = mpf("1e-3")
    n = 1
    while stable(n * step):
        n += 1
    if n == 1:
        return mpf(0)
    low, high = (n - 1) * step, n * step
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if stable(middle) else (low, middle)
    return low


def facts(method):
    order, norm = leading(method, method.b, lambda tree: 1 / mpf(density(tree)))
    assert order == method.order
    R = [c if abs(c) > ZERO else mpf(0) for c in stability(method)]
    value = lambda z: abs(mp.polyval(R[::-1], z))
    # Near 0 a modulus of 1 is met to rounding, which must not decide.
    edge = 1 + mpf("1e-20")
    found = {
        "order": order,
        "stages": len(method.c),
        "T_next": float(mp.nstr(norm, 10)),
        "real_interval": round(float(exit_of(lambda x: value(-x) <= edge)), 4),
        "imag_interval": round(float(exit_of(lambda y: value(mpf(y) * 1j) <= edge)), 4),
    }
    if len(method.error) == 1:
        embedded, norm = leading(method, method.error[0], lambda tree: 0)
        found["embedded_order"] = embedded
        found["estimator_norm"] = float(mp.nstr(norm, 10))
    return found


def shown(y, digits):
    return [mp.nstr(x, digits) for x in y]


def maps(method, old):
    f = FIELDS[old[0]]
    old = old[1]
    t, h, y = mpf(old["t0"]), mpf(old["h"]), [mpf(x) for x in old["y0"]]
    found = {key: old[key] for key in ("t0", "y0", "h")}
    k = method.stages(f, t, y, h)
    y1 = plus(y, method.sum(method.b, k, h))
    found["y1"] = shown(y1, 25)
    names = {0: [], 1: ["error_E"], 2: ["error_E5", "error_E3"]}[len(method.error)]
    for name, row in zip(names, method.error):
        found[name] = shown(method.sum(row, k, h), 25)
    if "dense" in old:
        found["dense"] = {}
        for text in old["dense"]:
            theta, value = mpf(text), y
            for m, row in enumerate(method.dense):
                w = theta ** (m // 2 + 1) * (1 - theta) ** ((m + 1) // 2)
                value = plus(value, [w * x for x in method.sum(row, k, h)])
            found["dense"][text] = shown(value, 25)
    many = y
    for n in range(16):
        many = method.step(f, t + n * h, many, h)
    found["y_after_16_steps"] = shown(many, 25)
    found["one_step_back_from_y1"] = shown(method.step(f, t + h, y1, -h), 25)
    return found


def by_scipy(name, old):
    """What scipy needs; the old numbers without that scipy."""
    try:
        import scipy
        from scipy.integrate import solve_ivp
    except ImportError:
        return old["work_precision_scipy"]
    if scipy.__version__ != "1.17.1":
        return old["work_precision_scipy"]
    import math

    fields = {
        "harmonic_oscillator": lambda t, y: [y[1], -4.0 * y[0]],
        "lotka_volterra": lambda t, y: [y[0] * (1.5 - y[1]), y[1] * (y[0] - 3.0)],
        "pendulum": lambda t, y: [y[1], -math.sin(y[0])],
        "logistic": lambda t, y: [y[0] * (1.0 - y[0])],
        "forced_damped_pendulum": lambda t, y: [y[1], -math.sin(y[0]) - 0.2 * y[1] + 0.5 * math.cos(t)],
    }
    exact = [float(x) for x in old["y1"]]
    found = {}
    for solver, lines in old["work_precision_scipy"].items():
        found[solver] = []
        for line in lines:
            ends = (float(old["t0"]), float(old["t1"]))
            start = [float(x) for x in old["y0"]]
            tol = line["tol"]
            # Steps that are rejected are not counted there: they are the attempts,
            # each of as many evaluations, less those that were kept. Two
            # evaluations find the first step.
            run = solve_ivp(fields[name], ends, start, method=solver, rtol=tol, atol=tol)
            accepted = len(run.t) - 1
            attempt = {"RK23": 3, "RK45": 6, "DOP853": 12}[solver]
            rejected = (run.nfev - 2) // attempt - accepted
            error = max(abs(a - b) for a, b in zip(run.y[:, -1], exact))
            found[solver].append(
                {
                    "tol": tol,
                    "accepted": accepted,
                    "rejected": rejected,
                    "nfev": run.nfev,
                    "err_max": float(f"{error:.5g}"),
                }
            )
    return found


def flow(name, old):
    f, names = FIELDS[name], PARAMETERS[name]
    t0, t1, y0 = mpf(old["t0"]), mpf(old["t1"]), [mpf(x) for x in old["y0"]]
    divergence = DIVERGENCES[name]
    wider = lambda t, y: [*f(t, y[:2]), divergence(y)]
    *y1, integral = solution(wider, t0, t1, [*y0, mpf(0)])
    by = mpf("1e-12")

    def difference(end):
        return [(a - b) / (2 * by) for a, b in zip(end(by), end(-by))]

    def moved(i):
        return lambda e: solution(f, t0, t1, [y + e * (n == i) for n, y in enumerate(y0)])

    def bent(key):
        value = mpf(names[key])
        return lambda e: solution(lambda t, y: f(t, y, **{key: value + e}), t0, t1, y0)

    columns = [difference(moved(i)) for i in range(2)]
    found = {key: old[key] for key in ("t0", "t1", "y0")}
    found["y1"] = shown(y1, 20)
    found["integral_of_divergence"] = mp.nstr(integral, 20)
    found["flow_jacobian"] = [shown([columns[j][i] for j in range(2)], 17) for i in range(2)]
    found["dy1_dparam"] = {key: shown(difference(bent(key)), 17) for key in names}
    return found


def problem(name, old):
    f = FIELDS[name]
    start = [mpf(x) for x in old["y0"]]
    y1 = solution(f, mpf(old["t0"]), mpf(old["t1"]), start)
    return {**old, "y1": shown(y1, 22), "work_precision_scipy": by_scipy(name, old)}


def differences(old, new, place=""):
    """Each number that is not the old one: where, and by what part of it."""
    if isinstance(old, dict):
        assert old.keys() == new.keys(), place
        return [d for key in old for d in differences(old[key], new[key], f"{place}.{key}")]
    if isinstance(old, list):
        assert len(old) == len(new), place
        return [d for n, (a, b) in enumerate(zip(old, new)) for d in differences(a, b, f"{place}[{n}]")]
    if old == new:
        return []
    try:
        a, b = mpf(str(old)), mpf(str(new))
    except ValueError:
        return [(place, "text")]
    return [(place, mp.nstr(abs(a - b) / (abs(a) or 1), 3))]


def main():
    old = json.loads(FILE.read_text())
    methods = {name: Method(constant) for name, constant in METHODS.items()}
    new = {
        "about": ABOUT,
        "maps": {
            name: {key: maps(method, (key, old["maps"][name][key])) for key in old["maps"][name]}
            for name, method in methods.items()
        },
        "facts_about": old["facts_about"],
        "facts": {name: facts(method) for name, method in methods.items()},
        "problems": {name: problem(name, value) for name, value in old["problems"].items()},
        "flows": {name: flow(name, value) for name, value in old["flows"].items()},
    }
    for place, by in differences(old, new):
        print(f"{place}: {by}")
    if "--check" not in sys.argv:
        FILE.write_text(json.dumps(new, indent=1) + "\n")


if __name__ == "__main__":
    print(f"mpmath {mpmath.__version__}", file=sys.stderr)
    main()
