"""The other side of the files: Python's own safetensors.

    python3 safetensors_peer.py write   writes from_python.safetensors
    python3 safetensors_peer.py read    reads from_flowgrad.safetensors and
                                        says whether it holds what it should

Needs numpy and safetensors. Both files are committed; the tests of the crate
read the first, and write the second again, byte for byte.
"""

import sys
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

HERE = Path(__file__).parent

MODEL = {
    "layers.0.weight": np.array([[1.0, -2.5, 3.25], [0.1, -0.0, 1e-40]], np.float32),
    "layers.0.bias": np.array([np.finfo(np.float32).max, 2.0**-149, 7.0], np.float32),
    "scale": np.array(0.3, np.float32),
}


def write():
    # A file as others write it: more types, text, another order.
    more = {
        "counter": np.array([3, 1 << 40], np.int64),
        "half": np.array([[0.5, 2.0]], np.float16),
        "empty": np.zeros((0, 4), np.float32),
    }
    save_file({**MODEL, **more}, HERE / "from_python.safetensors", {"made by": "python"})


def read():
    with safe_open(HERE / "from_flowgrad.safetensors", framework="numpy") as file:
        assert set(file.keys()) == set(MODEL), file.keys()
        for name, expected in MODEL.items():
            found = file.get_tensor(name)
            assert found.dtype == expected.dtype, name
            assert found.shape == expected.shape, (name, found.shape)
            assert found.tobytes() == expected.tobytes(), name
        assert file.metadata() == {"flowgrad": "note=a %3D b\n"}, file.metadata()
    print("from_flowgrad.safetensors holds what it should, in bits")


if __name__ == "__main__":
    {"write": write, "read": read}[sys.argv[1]]()
