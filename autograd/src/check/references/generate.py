"""Writes values.txt: what every operation of the catalogue gives, computed
with 400 decimal digits by code that shares nothing with the crate.

    pip install mpmath
    python3 generate.py

Functions of numbers come from mpmath, arrays from naive sums over indices. To
add an operation, add a line below with the name of its entry in the catalogue.
In the file an operation is its name and then a line for each input (x), the
correctly rounded result (y) and what the rounding left over (e), each with its
shape and its numbers in hexadecimal: bits of doubles, and signed multiples of
2^-16 units of the last place.
"""

import math
import pathlib
import struct

import mpmath
from mpmath import mp, mpf

mp.dps = 400
GOLDEN = 0.618033988749894903


def single(x):
    """The nearest number of single precision."""
    try:
        return struct.unpack("<f", struct.pack("<f", x))[0]
    except OverflowError:
        return math.copysign(math.inf, x)


def bits(x):
    return struct.pack(">d", x).hex()


def rounded(v):
    """The nearest double."""
    return float(mpmath.nstr(v, 50)) if mpmath.isfinite(v) else float(v)


def rest(v, h):
    """What rounding v to h left over, in units of the last place / 2^16."""
    if not math.isfinite(h):
        return 0
    units = int(mp.nint((v - mpf(h)) / mpf(math.ulp(h)) * 2**16))
    return max(-32767, min(32767, units))


class Array:
    """Numbers in row-major order under a shape."""

    def __init__(self, shape, numbers):
        self.shape, self.numbers = tuple(shape), list(numbers)
        assert len(self.numbers) == math.prod(self.shape)

    def __getitem__(self, index):
        index = index if isinstance(index, tuple) else (index,)
        place = 0
        for i, n in zip(index, self.shape, strict=True):
            assert 0 <= i < n
            place = place * n + i
        return self.numbers[place]


def indices(shape):
    """All places of an array, in order."""
    if not shape:
        return [()]
    return [(i, *rest) for i in range(shape[0]) for rest in indices(shape[1:])]


def build(shape, f):
    """The array whose element at each place is f(place)."""
    return Array(shape, [mpf(f(*i)) for i in indices(tuple(shape))])


def sample(shape, low=-1.0, high=1.0, salt=1):
    """As `check::sample`: numbers spread over an interval."""
    margin = min(0.125, 0.2 * (high - low))
    out = []
    for i in range(math.prod(shape)):
        phase = math.fmod(0.5 + GOLDEN * (i + 17 * salt + 1), 1.0)
        out.append(single(low + margin + (high - low - 2.0 * margin) * phase))
    return Array(shape, [mpf(x) for x in out])


blocks = []


def hexadecimal(letter, array, numbers):
    shape = ",".join(map(str, array.shape)) or "-"
    blocks.append(f"{letter} {shape} " + " ".join(numbers))


def record(name, inputs, output):
    blocks.append(name)
    for x in inputs:
        hexadecimal("x", x, [bits(rounded(v)) for v in x.numbers])
    high = [rounded(v) for v in output.numbers]
    hexadecimal("y", output, [bits(h) for h in high])
    hexadecimal("e", output, [f"{rest(v, h) & 0xFFFF:04x}" for v, h in zip(output.numbers, high)])


# Points of a function of one number.


def line(low, high, count=24):
    """Numbers of single precision spread over an interval, ends included."""
    inside = (low + (high - low) * math.fmod(0.5 + GOLDEN * (k + 1), 1.0) for k in range(count))
    return [single(low), *sorted(single(x) for x in inside), single(high)]


def powers(low, high, step):
    """±(1 + a fraction)·2ᵏ for k from low to high."""
    sizes = [single(1.0 + math.fmod(GOLDEN * k, 1.0)) * 2.0**k for k in range(low, high + 1, step)]
    return [-x for x in reversed(sizes)] + sizes


SMALL = powers(-60, -2, 8)
"""Where a function may cancel at 0; single precision has them too."""
HUGE = powers(-1000, 1000, 250)
"""To the ends of double precision."""


def positive(points):
    return [x for x in points if x > 0]


def unary(name, f, points):
    xs = Array([len(points)], [mpf(x) for x in points])
    record(name, [xs], Array(xs.shape, [mpf(f(x)) for x in xs.numbers]))


def sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def softplus(x):
    return mp.log(1 + mp.exp(x))


def tanh(x):
    # mpmath rounds to 1 before the digits that count below are used up.
    return 2 * sigmoid(2 * x) - 1


def phi(x):
    return mp.erfc(-x / mp.sqrt(2)) / 2


def nearest(x):
    """The nearest whole number, of two the even one."""
    down = mp.floor(x)
    rest = x - down
    up = rest > mpf("0.5") or (rest == mpf("0.5") and int(down) % 2 == 1)
    return down + 1 if up else down


SCALE, ALPHA = mpf("1.0507009873554804934193349852946"), mpf("1.6732632423543772848170429916717")
HALVES = [k * 0.5 for k in range(-9, 10)] + line(-1000, 1000, 12) + [2.0**52 + 1, -(2.0**60)]

unary("shift", lambda x: x + mpf(0.5), line(-3, 3) + HUGE)
unary("recip", lambda x: 1 / x, line(0.01, 10) + HUGE)
unary("square", lambda x: x * x, line(-10, 10) + powers(-500, 500, 125))
unary("sqrt", mp.sqrt, line(0, 10) + positive(HUGE))
unary("rsqrt", lambda x: 1 / mp.sqrt(x), line(0.01, 10) + positive(HUGE))
unary("powi", lambda x: x**3, line(-10, 10) + powers(-300, 300, 60))
unary("powf", lambda x: x ** mpf(2.5), line(0, 10) + positive(powers(-400, 400, 50)))
unary("exp", mp.exp, SMALL + line(-1, 1) + line(-86, 88) + line(-700, 709, 12))
unary("exp_m1", mp.expm1, SMALL + line(-1, 1) + line(-40, 88) + line(-700, 709, 12))
unary("ln", mp.log, line(0.5, 2) + line(0.01, 100) + positive(HUGE))
unary("ln_1p", mp.log1p, SMALL + line(-0.999, 1) + line(1, 100, 12) + positive(HUGE))
unary("sin", mp.sin, SMALL + line(-7, 7) + [single(k * math.pi) for k in range(1, 9)] + line(-1e4, 1e4, 12))
unary("cos", mp.cos, SMALL + line(-7, 7) + [single((k + 0.5) * math.pi) for k in range(8)] + line(-1e4, 1e4, 12))
unary("tan", mp.tan, SMALL + line(-7, 7) + [single(k * math.pi / 2) for k in range(1, 9)] + line(-1e4, 1e4, 12))
unary("asin", mp.asin, SMALL + line(-1, 1) + [1 - 2.0**-20, -1 + 2.0**-24])
unary("acos", mp.acos, SMALL + line(-1, 1) + [1 - 2.0**-20, -1 + 2.0**-24])
unary("atan", mp.atan, SMALL + line(-3, 3) + HUGE)
unary("sinh", mp.sinh, SMALL + line(-1, 1) + line(-88, 88) + line(-709, 709, 12))
unary("cosh", mp.cosh, SMALL + line(-1, 1) + line(-88, 88) + line(-709, 709, 12))
unary("tanh", tanh, SMALL + line(-1, 1) + line(-20, 20) + [-500.0, 500.0])
unary("asinh", mp.asinh, SMALL + line(-3, 3) + HUGE)
unary("acosh", mp.acosh, [1 + 2.0**-k for k in range(2, 23, 4)] + line(1, 10) + powers(1, 1000, 111)[10:])
unary("atanh", mp.atanh, SMALL + line(-0.999, 0.999) + [1 - 2.0**-20, -1 + 2.0**-24])
unary("sigmoid", sigmoid, SMALL + line(-20, 20) + line(-86, 88, 12) + [-700.0, 700.0])
unary("log_sigmoid", lambda x: -softplus(-x), SMALL + line(-20, 20) + line(-86, 86, 12) + [-700.0, 700.0])
unary("softplus", softplus, SMALL + line(-20, 20) + line(-86, 86, 12) + [-700.0, 700.0])
unary("silu", lambda x: x * sigmoid(x), SMALL + line(-20, 20) + line(-80, 88, 12) + [-700.0, 700.0])
unary("gelu", lambda x: x * phi(x), SMALL + line(-12, 12) + [-35.0, 35.0])
unary("gelu_tanh", lambda x: x * sigmoid(2 * mp.sqrt(2 / mp.pi) * (x + mpf(0.044715) * x**3)), SMALL + line(-9, 9) + [-20.0, 20.0])
unary("relu", lambda x: max(x, mpf(0)), line(-3, 3) + HUGE)
unary("leaky_relu", lambda x: x if x > 0 else mpf(0.01) * x, line(-3, 3) + HUGE)
unary("elu", lambda x: x if x > 0 else mpf(1.5) * mp.expm1(x), SMALL + line(-20, 5) + HUGE)
unary("selu", lambda x: SCALE * (x if x > 0 else ALPHA * mp.expm1(x)), SMALL + line(-20, 5) + powers(-1000, 900, 190))
unary("erf", mp.erf, SMALL + line(-4, 4) + line(-1, 1) + [-26.0, 26.0])
unary("erfc", mp.erfc, SMALL + line(-4, 9) + line(-1, 1) + [20.0, 26.0])
unary("ln_gamma", mp.loggamma, line(0.01, 3) + line(3, 100) + [1 + 2.0**-20, 2 - 2.0**-20] + positive(HUGE))
unary("polygamma", lambda x: mp.psi(1, x), line(0.01, 3) + line(3, 100) + positive(powers(-500, 500, 125)))
unary("abs", abs, line(-3, 3) + HUGE)
unary("clamp", lambda x: min(max(x, mpf(-1)), mpf(3)), line(-5, 5) + HUGE)
unary("sign", mp.sign, [0.0, *line(-3, 3), *HUGE])
unary("step", lambda x: mpf(1 if x > 0 else 0), [0.0, *line(-3, 3), *HUGE])
unary("floor", mp.floor, HALVES)
unary("ceil", mp.ceil, HALVES)
unary("round", nearest, HALVES)
unary("digamma", lambda x: mp.psi(0, x), line(0.01, 3) + line(3, 100) + positive(powers(-500, 500, 125)))


# Functions of two numbers.


def binary(name, f, left, right):
    """At all pairs of a few numbers."""
    pairs = [(mpf(a), mpf(b)) for a in left for b in right]
    n = [len(pairs)]
    a, b = Array(n, [p[0] for p in pairs]), Array(n, [p[1] for p in pairs])
    record(name, [a, b], Array(n, [mpf(f(*p)) for p in pairs]))


FEW = line(-3, 3, 5) + [2.0**-40, -(2.0**40), 2.0**900]

binary("add", lambda a, b: a + b, FEW, FEW)
binary("sub", lambda a, b: a - b, FEW, FEW)
binary("mul", lambda a, b: a * b, FEW[:-1], FEW)
binary("div", lambda a, b: a / b, FEW, FEW)
binary("maximum", max, FEW, FEW)
binary("minimum", min, FEW, FEW)
binary("pow", lambda a, b: a**b, line(0.01, 10, 8) + [1 + 2.0**-20, 2.0**-60], line(-9, 9, 8) + [0.5, 2.0, 2.0**-30])
binary("atan2", lambda a, b: mp.atan2(a, b), FEW, FEW)
binary("hypot", mp.hypot, FEW + [2.0**-1000], FEW + [2.0**-1000])


# Arrays: each element by a sum over indices.


def array(name, inputs, shape, f):
    record(name, inputs, build(shape, lambda *place: f(*inputs, *place)))


def reals(*shapes):
    return [sample(shape, salt=salt) for salt, shape in enumerate(shapes, 1)]


def positives(*shapes):
    return [sample(shape, 0.5, 2.0, salt) for salt, shape in enumerate(shapes, 1)]


def spread(*shape):
    prime = 7 if math.prod(shape) <= 7 else 31
    return [Array(shape, [mpf(0.5 * ((5 * k + 2) % prime) - 1.0) for k in range(math.prod(shape))])]


def window(x, w, k, size=3, step=3, dilation=2):
    return w * step + k * dilation


def mean(numbers):
    numbers = list(numbers)
    return sum(numbers) / len(numbers)


def variance(numbers, correction=0):
    numbers = list(numbers)
    centre = mean(numbers)
    return sum((x - centre) ** 2 for x in numbers) / (len(numbers) - correction)


def logsumexp(numbers):
    return mp.log(sum(mp.exp(x) for x in numbers))


def row(x, i):
    return [x[i, j] for j in range(x.shape[1])]


def column(x, j):
    return [x[i, j] for i in range(x.shape[0])]


def product(numbers):
    out = mpf(1)
    for x in numbers:
        out *= x
    return out


def affine(x, w, b, i, j):
    return sum(x[i, k] * w[k, j] for k in range(w.shape[0])) + b[j]


def silu(x):
    return x * sigmoid(x)


ROWS = [2, 0, 2, 1]

array("scale", reals((2, 3)), (2, 3), lambda x, i, j: mpf(-1.75) * x[i, j])
array("reshape", reals((2, 3)), (3, 1, 2), lambda x, i, _, k: x.numbers[2 * i + k])
array("permute", reals((2, 3, 4)), (4, 2, 3), lambda x, i, j, k: x[j, k, i])
array("t", reals((2, 3)), (3, 2), lambda x, i, j: x[j, i])
array("broadcast_to", reals((2, 1, 3)), (2, 4, 3), lambda x, i, _, k: x[i, 0, k])
array("sum", reals((2, 3)), (), lambda x: sum(x.numbers))
array("sum_axis", reals((2, 3, 4)), (2, 4), lambda x, i, k: sum(x[i, j, k] for j in range(3)))
array("sum_axis_keep", reals((2, 3)), (1, 3), lambda x, _, j: sum(column(x, j)))
array("mean", reals((2, 3)), (), lambda x: mean(x.numbers))
array("mean_axis", reals((2, 3)), (3,), lambda x, j: mean(column(x, j)))
array("slice", reals((2, 5, 3)), (2, 3, 3), lambda x, i, j, k: x[i, j + 1, k])
array("pad", reals((2, 2, 3)), (2, 5, 3), lambda x, i, j, k: x[i, j - 1, k] if 1 <= j < 3 else 0)
array("gather", reals((3, 2)), (4, 2), lambda x, i, j: x[ROWS[i], j])
array("scatter_add", reals((4, 2)), (5, 2), lambda x, i, j: sum(x[r, j] for r in range(4) if ROWS[r] == i))
array("index_select", reals((2, 3, 5)), (2, 4, 5), lambda x, i, j, k: x[i, ROWS[j], k])
array("index_add", reals((2, 4, 5)), (2, 3, 5), lambda x, i, j, k: sum(x[i, r, k] for r in range(4) if ROWS[r] == j))
array("take_along_axis", reals((2, 3)), (2, 2), lambda x, i, j: x[i, [2, 0, 0, 1][2 * i + j]])
array("one_hot", reals((4, 3)), (3, 3), lambda x, i, j: x[ROWS[i], j])
array("unfold", reals((2, 9, 3)), (2, 2, 3, 3), lambda x, i, w, p, k: x[i, window(x, w, p), k])
array("fold", reals((2, 2, 3, 5)), (2, 9, 5), lambda x, i, j, k: sum(x[i, w, p, k] for w in range(2) for p in range(3) if window(x, w, p) == j))
array("fold, overlapping", reals((3, 4)), (9,), lambda x, j: sum(x[w, p] for w in range(3) for p in range(4) if w + 2 * p == j))
array("diagonal", reals((2, 3, 4)), (2, 3), lambda x, i, j: x[i, j, j])
array("embed_diagonal", reals((2, 3)), (2, 3, 3), lambda x, i, j, k: x[i, j] if j == k else 0)
array("roll", reals((2, 5, 3)), (2, 5, 3), lambda x, i, j, k: x[i, (j + 3) % 5, k])
array("flip", reals((2, 3, 4)), (2, 3, 4), lambda x, i, j, k: x[i, 2 - j, k])
array("cumsum", reals((2, 3, 4)), (2, 3, 4), lambda x, i, j, k: sum(x[i, m, k] for m in range(j + 1)))
array("unsqueeze", reals((2, 3)), (2, 1, 3), lambda x, i, _, j: x[i, j])
array("squeeze", reals((2, 1, 3)), (2, 3), lambda x, i, j: x[i, 0, j])
array("swap_axes", reals((2, 3, 4)), (4, 3, 2), lambda x, i, j, k: x[k, j, i])
array("stack", reals((2, 3), (2, 3)), (2, 3, 3), lambda x, y, i, s, j: [x, y, x][s][i, j])
array("split", reals((2, 3)), (2, 2), lambda x, i, j: x[i, j + 1] - x[i, 0])
array("concat", reals((2, 3), (2, 5)), (2, 11), lambda x, y, i, j: (row(x, i) + row(y, i) + row(x, i))[j])
array("select", reals((2, 3), (2, 3)), (2, 3), lambda x, y, i, j: y[i, j] if x[i, j] < 0 else x[i, j])

array("matmul", reals((2, 3), (3, 4)), (2, 4), lambda x, y, i, j: sum(x[i, k] * y[k, j] for k in range(3)))
array("matmul, stacks", reals((2, 1, 3, 4), (5, 4, 2)), (2, 5, 3, 2), lambda x, y, s, t, i, j: sum(x[s, 0, i, k] * y[t, k, j] for k in range(4)))
array("matmul, transposed", reals((2, 3), (3, 4)), (2, 3), lambda x, y, i, j: sum(x[i, k] * y[k, m] * y[j, m] for k in range(3) for m in range(4)))

array("operators with numbers", positives((2, 3)), (2, 3), lambda x, i, j: 1 - x[i, j] / 3 + 2 / x[i, j] - mpf(0.5))
array("powi(-2)", positives((2, 3)), (2, 3), lambda x, i, j: x[i, j] ** -2)
array("var", reals((2, 3)), (), lambda x: variance(x.numbers, 1))
array("var_axis", reals((2, 3)), (2,), lambda x, i: variance(row(x, i)))
array("max", spread(2, 3), (), lambda x: max(x.numbers))
array("max_axis", spread(2, 3), (2,), lambda x, i: max(row(x, i)))
array("min", spread(2, 3), (), lambda x: min(x.numbers))
array("min_axis", spread(2, 3), (3,), lambda x, j: min(column(x, j)))
array("prod", reals((2, 3)), (), lambda x: product(x.numbers))
array("prod_axis", reals((2, 5)), (2,), lambda x, i: product(row(x, i)))
array("norm", positives((2, 3)), (), lambda x: mp.sqrt(sum(v * v for v in x.numbers)))
array("norm_axis", positives((2, 3)), (3,), lambda x, j: mp.sqrt(sum(v * v for v in column(x, j))))
array("logsumexp", reals((2, 3)), (2,), lambda x, i: logsumexp(row(x, i)))
array("softmax", reals((2, 3)), (2, 3), lambda x, i, j: mp.exp(x[i, j]) / sum(mp.exp(v) for v in row(x, i)))
array("log_softmax", reals((2, 3)), (2, 3), lambda x, i, j: x[i, j] - logsumexp(row(x, i)))


def attention(q, k, v, t, e, seen=lambda t, s: True):
    keys = [s for s in range(k.shape[0]) if seen(t, s)]
    width = q.shape[1]
    weights = [mp.exp(sum(q[t, d] * k[s, d] for d in range(width)) / mp.sqrt(width)) for s in keys]
    return sum(w * v[s, e] for w, s in zip(weights, keys)) / sum(weights)


def normal(numbers, x, centre=True):
    """x among these numbers, normalised, with 1/4 under the root."""
    m = mean(numbers) if centre else 0
    return (x - m) / mp.sqrt(mean((y - m) ** 2 for y in numbers) + mpf(0.25))


def group(x, b, c):
    return [x[b, d, p] for d in range(c // 2 * 2, c // 2 * 2 + 2) for p in range(3)]


def huber(e):
    return e * e / 2 if abs(e) <= 1 else abs(e) - mpf(0.5)


def differences(x, y):
    """Of the first and an eighth of the second."""
    return [a - b / 8 for a, b in zip(x.numbers, y.numbers)]


def beside_zero(*shape):
    x, y = reals(shape, shape)
    return [Array(shape, [mpf(single(v + (0.5 if v > 0 else -0.5))) for v in map(float, x.numbers)]), y]


def on_both_sides():
    x, y = reals((2, 3), (2, 3))
    centres = [0.0, 2.5, -2.5, -2.0, 0.0, 2.0]
    return [Array((2, 3), [mpf(single(0.25 * v + c)) for v, c in zip(map(float, x.numbers), centres)]), y]


def definite(*second):
    x, y = reals((3, 3), second)
    x = Array((3, 3), [mpf(single(0.5 * v + (2.0 if p % 4 == 0 else 0.0))) for p, v in enumerate(map(float, x.numbers))])
    return [x, y][: 1 + bool(second)]


def symmetric(a):
    return build((3, 3), lambda i, j: (a[i, j] + a[j, i]) / 2)


def matrix(a):
    return mp.matrix([[a[i, j] for j in range(a.shape[1])] for i in range(a.shape[0])])


def triangle(a, lower):
    return build((3, 3), lambda i, j: a[i, j] if (j <= i if lower else j >= i) else 0)


array("tril", reals((2, 3, 4)), (2, 3, 4), lambda x, i, j, k: x[i, j, k] if k - j <= 1 else 0)
array("triu", reals((2, 3, 4)), (2, 3, 4), lambda x, i, j, k: x[i, j, k] if k - j >= -1 else 0)
array("einsum", reals((2, 3, 4), (4, 2)), (3, 2), lambda x, y, i, b: sum(x[b, i, j] * y[j, b] for j in range(4)))
array("einsum, diagonal", reals((3, 3, 2), (2, 4)), (4,), lambda x, y, k: sum(x[i, i, j] * y[j, k] for i in range(3) for j in range(2)))
array("softmax_where", reals((2, 3)), (2, 3), lambda x, i, j: mp.exp(x[i, j]) / sum(mp.exp(x[i, k]) for k in range(i + 1)) if j <= i else 0)
array("attention", reals((2, 3), (4, 3), (4, 5)), (2, 5), attention)
array("attention, causal", reals((3, 2), (4, 2), (4, 1)), (3, 1), lambda q, k, v, t, e: attention(q, k, v, t, e, lambda t, s: s <= t))
array("layer_norm", reals((2, 3), (3,), (3,)), (2, 3), lambda x, g, b, i, j: g[j] * normal(row(x, i), x[i, j]) + b[j])
array("rms_norm", reals((2, 3), (3,)), (2, 3), lambda x, g, i, j: g[j] * normal(row(x, i), x[i, j], centre=False))
array("group_norm", reals((2, 4, 3), (4,), (4,)), (2, 4, 3), lambda x, g, b, i, c, p: g[c] * normal(group(x, i, c), x[i, c, p]) + b[c])
array("mse", reals((2, 3), (2, 3)), (), lambda x, y: mean((a - b) ** 2 for a, b in zip(x.numbers, y.numbers)))
array("mae", beside_zero(2, 3), (), lambda x, y: mean(map(abs, differences(x, y))))
array("huber", on_both_sides(), (), lambda x, y: mean(map(huber, differences(x, y))))
array("cross_entropy_rows", reals((2, 3)), (2,), lambda x, i: logsumexp(row(x, i)) - x[i, [2, 0][i]])
array("cross_entropy", reals((2, 3)), (), lambda x: mean(logsumexp(row(x, i)) - x[i, [2, 0][i]] for i in range(2)))
array("binary_cross_entropy", reals((2, 3), (2, 3)), (), lambda x, y: mean(b * softplus(-a) + (1 - b) * softplus(a) for a, b in zip(x.numbers, y.numbers)))
array("solve_triangular", definite(3, 2), (3, 2), lambda a, b, i, j: (mp.inverse(matrix(triangle(a, True))) * matrix(b))[i, j])
array("solve_triangular, upper", definite(3, 2), (3, 2), lambda a, b, i, j: (mp.inverse(matrix(triangle(a, False)).T) * matrix(b))[i, j])
array("cholesky", definite(), (3, 3), lambda a, i, j: mp.cholesky(matrix(symmetric(a)))[i, j])
array("solve_spd", definite(3, 2), (3, 2), lambda a, b, i, j: (mp.inverse(matrix(symmetric(a))) * matrix(b))[i, j])
array("logdet", definite(), (), lambda a: mp.log(mp.det(matrix(symmetric(a)))))
array("checkpoint", reals((2, 3)), (2, 3), lambda x, i, j: mp.exp(x[i, j]) / sum(mp.exp(v) for v in row(x, i)))


def conv1d(x, w, b, n, o, i, stride=2, padding=1, dilation=2, groups=2):
    each = w.shape[1]
    first = o * groups // w.shape[0] * each
    total = b[o]
    for c in range(each):
        for k in range(w.shape[2]):
            at = i * stride - padding + k * dilation
            if 0 <= at < x.shape[2]:
                total += x[n, first + c, at] * w[o, c, k]
    return total


def conv2d(x, w, b, n, o, i, j):
    """Strides 1 and 2, padding 1 and 0, dilations 2 and 1."""
    total = b[o]
    for c in range(w.shape[1]):
        for k in range(w.shape[2]):
            for m in range(w.shape[3]):
                row, col = i - 1 + 2 * k, 2 * j + m
                if 0 <= row < x.shape[2] and 0 <= col < x.shape[3]:
                    total += x[n, c, row, col] * w[o, c, k, m]
    return total


def conv_transpose1d(y, w, b, n, c, h, stride=2, padding=1, dilation=2, groups=2):
    each = w.shape[1]
    total = b[c]
    for o in range(w.shape[0]):
        if o * groups // w.shape[0] == c // each:
            for i in range(y.shape[2]):
                for k in range(w.shape[2]):
                    if i * stride - padding + k * dilation == h:
                        total += y[n, o, i] * w[o, c % each, k]
    return total


def conv_transpose2d(y, w, b, n, c, row, col):
    total = b[c]
    for o in range(w.shape[0]):
        for i in range(y.shape[2]):
            for j in range(y.shape[3]):
                for k in range(w.shape[2]):
                    for m in range(w.shape[3]):
                        if (i - 1 + 2 * k, 2 * j + m) == (row, col):
                            total += y[n, o, i, j] * w[o, c, k, m]
    return total


def window1d(x, n, c, i):
    """Three places from every second, one of padding."""
    return [x[n, c, at] for at in range(2 * i - 1, 2 * i + 2) if 0 <= at < x.shape[2]]


def window2d(x, n, c, i, j):
    """Two by three places, strides 1 and 2, padding 1 and 0."""
    rows = [r for r in (i - 1, i) if 0 <= r < x.shape[2]]
    return [x[n, c, r, 2 * j + m] for r in rows for m in range(3)]


def group2d(x, n, c):
    channels = range(c // 2 * 2, c // 2 * 2 + 2)
    return [x[n, d, i, j] for d in channels for i in range(x.shape[2]) for j in range(x.shape[3])]


def learned(numbers, x):
    """x among these numbers, normalised as the layers do."""
    return (x - mean(numbers)) / mp.sqrt(variance(numbers) + mpf(1e-5))


def same_conv(x, w, b):
    """Three by three places, one of padding."""
    def at(n, o, i, j):
        total = b[o]
        for c in range(w.shape[1]):
            for k in range(3):
                for m in range(3):
                    row, col = i - 1 + k, j - 1 + m
                    if 0 <= row < x.shape[2] and 0 <= col < x.shape[3]:
                        total += x[n, c, row, col] * w[o, c, k, m]
        return total
    return build((x.shape[0], w.shape[0], *x.shape[2:]), at)


def residual_block(x, e, scale1, shift1, w1, b1, v, c, scale2, shift2, w2, b2, ws, bs):
    def normed(x, scale, shift):
        return build(x.shape, lambda n, c, i, j: silu(scale[c] * learned(x.numbers, x[n, c, i, j]) + shift[c]))
    h = same_conv(normed(x, scale1, shift1), w1, b1)
    h = build(h.shape, lambda n, o, i, j: h[n, o, i, j] + affine(e, v, c, n, o))
    h = same_conv(normed(h, scale2, shift2), w2, b2)
    return build(h.shape, lambda n, o, i, j: h[n, o, i, j] + bs[o] + sum(ws[o, c, 0, 0] * x[n, c, i, j] for c in range(2)))


IMAGE = reals((1, 2, 3, 5), (3, 2, 2, 3), (3,))
array("conv1d", reals((2, 2, 7), (4, 1, 3), (4,)), (2, 4, 3), conv1d)
array("conv2d", IMAGE, (1, 3, 3, 2), conv2d)
array("conv_transpose1d", reals((2, 4, 3), (4, 1, 3), (2,)), (2, 2, 7), conv_transpose1d)
array("conv_transpose2d", reals((1, 3, 3, 2), (3, 2, 2, 3), (2,)), (1, 2, 3, 6), conv_transpose2d)
array("resize_nearest", reals((2, 3, 2)), (2, 5, 2), lambda x, i, j, k: x[i, j * 3 // 5, k])
array("upsample_nearest1d", reals((2, 1, 3)), (2, 1, 6), lambda x, i, j, k: x[i, j, k // 2])
array("upsample_nearest2d", reals((1, 2, 2, 3)), (1, 2, 6, 6), lambda x, n, c, i, j: x[n, c, i // 3, j // 2])
array("avg_pool1d", reals((2, 3, 5)), (2, 3, 3), lambda x, n, c, i: sum(window1d(x, n, c, i)) / 3)
array("avg_pool2d", reals((1, 2, 3, 5)), (1, 2, 4, 2), lambda x, n, c, i, j: sum(window2d(x, n, c, i, j)) / 6)
array("max_pool1d", spread(1, 1, 7), (1, 1, 4), lambda x, n, c, i: max(window1d(x, n, c, i)))
array("max_pool2d", spread(1, 2, 3, 5), (1, 2, 4, 2), lambda x, n, c, i, j: max(window2d(x, n, c, i, j)))
array("Conv2d", IMAGE, (1, 3, 3, 2), conv2d)
array("ClassEmbedding", reals((3, 2)), (4, 2), lambda x, i, j: x[ROWS[i], j])
array("LayerNorm", reals((2, 3), (3,), (3,)), (2, 3), lambda x, g, b, i, j: g[j] * learned(row(x, i), x[i, j]) + b[j])
array("GroupNorm", reals((1, 4, 2, 3), (4,), (4,)), (1, 4, 2, 3), lambda x, g, b, n, c, i, j: g[c] * learned(group2d(x, n, c), x[n, c, i, j]) + b[c])
BLOCK = reals((1, 2, 2, 3), (1, 2), (2,), (2,), (3, 2, 3, 3), (3,), (2, 3), (3,), (3,), (3,), (3, 3, 3, 3), (3,), (3, 2, 1, 1), (3,))
record("ResidualBlock", BLOCK, residual_block(*BLOCK))
array("dense", reals((2, 3), (3, 4), (4,)), (2, 4), affine)
array("dense, tanh", reals((2, 3), (3, 4), (4,)), (2, 4), lambda *a: tanh(affine(*a)))
array("dense, silu", reals((2, 3), (3, 4), (4,)), (2, 4), lambda *a: silu(affine(*a)))

array("Dense", reals((2, 3), (3, 4), (4,)), (2, 4), lambda *a: silu(affine(*a)))
array("TimeFeatures", [sample((3, 1), 0.1, 0.9)], (3, 3), lambda t, i, j: [t[i, 0], mp.sin(2 * mp.pi * t[i, 0]), mp.cos(2 * mp.pi * t[i, 0])][j])


def network(t, x, *parameters):
    """Dense layers with silu between them, of the point and the time."""
    h = build((3, 3), lambda i, j: [x[i, 0], x[i, 1], t[i, 0]][j])
    for layer in range(3):
        w, b = parameters[2 * layer : 2 * layer + 2]
        f = silu if layer < 2 else (lambda z: z)
        h = build((3, w.shape[1]), lambda i, j, h=h, f=f: f(affine(h, w, b, i, j)))
    return h


PARAMETERS = reals((3, 1), (3, 2), (3, 5), (5,), (5, 4), (4,), (4, 2), (2,))
record("Mlp", PARAMETERS, network(*PARAMETERS))


def residual(t, x, w, b, scale, shift, wide, wide_b, narrow, narrow_b, last_scale, last_shift, last, last_b):
    """A perceptron with one residual block."""
    def normed(h, g, s):
        return build(h.shape, lambda i, j: g[j] * learned(row(h, i), h[i, j]) + s[j])
    first = build((3, 3), lambda i, j: [x[i, 0], x[i, 1], t[i, 0]][j])
    h = build((3, 5), lambda i, j: affine(first, w, b, i, j))
    n = normed(h, scale, shift)
    a = build((3, 4), lambda i, j: silu(affine(n, wide, wide_b, i, j)))
    h = build((3, 5), lambda i, j: h[i, j] + affine(a, narrow, narrow_b, i, j))
    n = normed(h, last_scale, last_shift)
    return build((3, 2), lambda i, j: affine(n, last, last_b, i, j))


RESIDUAL = reals((3, 1), (3, 2), (3, 5), (5,), (5,), (5,), (5, 4), (4,), (4, 5), (5,), (5,), (5,), (5, 2), (2,))
record("ResidualMlp", RESIDUAL, residual(*RESIDUAL))
array("primitive", reals((2, 3), (3,)), (2, 3), lambda x, c, i, j: x[i, j] ** 2 * c[j])

path = pathlib.Path(__file__).with_name("values.txt")
path.write_text("\n".join(blocks) + "\n")
print(f"{path}: {path.stat().st_size} bytes")
