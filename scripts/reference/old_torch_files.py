"""Writes small files as `torch.save` wrote them before torch 1.6, and with plain values beside the tensors.

Needs numpy, and no torch: the classes of torch that the pickles name are stood in for here.

Usage: python old_torch_files.py FOLDER (crates/splade-model/tests/fixtures/torch)
"""

import collections
import io
import pathlib
import pickle
import struct
import sys
import types
import zipfile

import numpy

torch = types.ModuleType("torch")
utils = types.ModuleType("torch._utils")
sys.modules["torch"], sys.modules["torch._utils"] = torch, utils


class FloatStorage:
    def __init__(self, key, numbers):
        self.key, self.numbers = key, numbers


def _rebuild_tensor_v2(*_):
    raise NotImplementedError


FloatStorage.__module__, FloatStorage.__qualname__, torch.FloatStorage = "torch", "FloatStorage", FloatStorage
_rebuild_tensor_v2.__module__, utils._rebuild_tensor_v2 = "torch._utils", _rebuild_tensor_v2


class Tensor:
    def __init__(self, storage, offset, shape, strides):
        self.arguments = (storage, offset, shape, strides, False, collections.OrderedDict())

    def __reduce__(self):
        return _rebuild_tensor_v2, self.arguments


def dump(value, file, protocol, old):
    """Pickles a value with the persistent ids of its storages, which are returned by key."""
    storages = {}
    pickler = pickle.Pickler(file, protocol=protocol)

    def persistent_id(value):
        if not isinstance(value, FloatStorage):
            return None
        storages[value.key] = value
        view = (None,) if old else ()
        return ("storage", FloatStorage, value.key, "cpu", len(value.numbers)) + view

    pickler.persistent_id = persistent_id
    pickler.dump(value)
    return storages


def packed(storage):
    return struct.pack(f"<{len(storage.numbers)}f", *storage.numbers)


def save_old(value, path):
    file = io.BytesIO()
    pickle.dump(0x1950A86A20F9469CFC6C, file, protocol=2)
    pickle.dump(1001, file, protocol=2)
    sizes = {"short": 2, "int": 4, "long": 8}
    pickle.dump({"protocol_version": 1001, "little_endian": True, "type_sizes": sizes}, file, protocol=2)
    storages = dump(value, file, 2, True)
    pickle.dump(sorted(storages), file, protocol=2)
    for key in sorted(storages):
        file.write(struct.pack("<q", len(storages[key].numbers)) + packed(storages[key]))
    write(path, file.getvalue())


def save(value, path, protocol):
    data = io.BytesIO()
    storages = dump(value, data, protocol, False)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", data.getvalue())
        for key, storage in storages.items():
            archive.writestr(f"archive/data/{key}", packed(storage))
        archive.writestr("archive/version", "3\n")
    write(path, file.getvalue())


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def tensors():
    storage, shared = FloatStorage("94", list(range(12))), FloatStorage("7", [0.5, -0.5])
    return {
        "weight": Tensor(storage, 0, (3, 4), (4, 1)),
        "turned": Tensor(storage, 0, (4, 3), (1, 4)),
        "bias": Tensor(shared, 0, (2,), (1,)),
    }


folder = pathlib.Path(sys.argv[1])
save_old(collections.OrderedDict(tensors()), folder / "old/pytorch_model.bin")
beside = collections.defaultdict(list, tensors())
beside["epoch"], beside["best"], beside["count"] = 3, numpy.float64(0.25), numpy.int64(7)
beside["history"] = [0.1, None, "text", (True, b"bytes")]
beside["ordered"] = collections.OrderedDict([("a", 1), ("b", numpy.float32(2.0))])
for protocol in (2, 4):
    save(beside, folder / f"beside-{protocol}/pytorch_model.bin", protocol)
save({"state_dict": tensors(), "epoch": 1}, folder / "refused/inner.bin", 2)
