"""Makes files of torch.save with every layout of tensors that a state dict may have, and some that no state dict of
plain tensors has.

    python scripts/reference/torch_files.py crates/splade-model/tests/fixtures/torch

- plain/pytorch_model.bin: contiguous, transposed, permuted, sliced and shared tensors of all float
  types. expected/model.safetensors holds each as a contiguous f32 tensor;
- sharded/: the same in two files with pytorch_model.bin.index.json;
- refused/NAME.bin: files that a reader must refuse if it does not run code.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file


def tensors():
    generator = torch.Generator().manual_seed(11)

    def random(*shape):
        return torch.randn(*shape, generator=generator)

    table = random(12, 10)
    return {
        "contiguous": random(5, 7),
        "transposed": random(7, 5).T,
        "permuted": random(3, 4, 5).permute(2, 0, 1),
        "permuted_inside": random(3, 4, 5).permute(0, 2, 1),
        "columns": table[:, 2:9:3],
        "rows": table[3:11:2],
        "rows_and_columns": table.T[1:8:2, 4:],
        "one_column": table[:, 4:5],
        "diagonal": table.diagonal(),
        "shared": table,
        "vector": random(6),
        "scalar": random(1)[0],
        "empty": random(0, 4),
        "empty_transposed": random(0, 4).T,
        "single": random(1, 1, 3).permute(2, 1, 0),
        "parameter": torch.nn.Parameter(random(4, 3).T),
        "double": random(4, 3).double().T,
        "half": random(4, 3).half().T,
        "bfloat16": random(4, 3).bfloat16().T,
        "LayerNorm.gamma": random(3),
        "LayerNorm.beta": random(3),
    }


class Runs:
    """Writes a file when it is unpickled."""

    def __reduce__(self):
        return open, ("the-pickle-was-run", "w")


def refused():
    plain = torch.arange(6.0).reshape(2, 3)
    complex_view = torch.complex(plain, plain).conj()
    return {
        "runs_code": {"weight": plain, "code": Runs()},
        "runs_code_in_state": [Runs()],
        "expanded": {"weight": torch.arange(3.0).expand(4, 3)},
        "overlapping": {"weight": torch.arange(8.0).unfold(0, 4, 1)},
        "negated": {"weight": complex_view.imag},
        "complex": {"weight": torch.complex(plain, plain)},
        "sparse": {"weight": plain.to_sparse()},
        "quantized": {"weight": torch.quantize_per_tensor(plain, 0.1, 0, torch.qint8)},
        "nested": {"model": {"weight": plain}},
        "list": [plain],
        "tensor": plain,
    }


def expected(values):
    names = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
    return {
        names.get(name, name): value.detach().float().contiguous().clone()
        for name, value in values.items()
    }


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: torch_files.py OUT")
    out = Path(sys.argv[1])
    shutil.rmtree(out, ignore_errors=True)
    for folder in ["plain/expected", "sharded", "refused", "number"]:
        (out / folder).mkdir(parents=True)
    values = tensors()
    # An integer buffer, as in files of old versions of transformers.
    ids = {"embeddings.position_ids": torch.arange(5).expand((1, -1))}
    torch.save(values | ids, out / "plain/pytorch_model.bin")
    save_file(expected(values), out / "plain/expected/model.safetensors")

    # A number beside a tensor is passed over. old_torch_files.py makes more of such files.
    number = {"weight": torch.arange(6.0).reshape(2, 3), "epoch": 3}
    torch.save(number, out / "number/pytorch_model.bin")

    names = list(values)
    parts = [names[:9], names[9:]]
    weight_map = {}
    for i, part in enumerate(parts, start=1):
        file = f"pytorch_model-{i:05}-of-{len(parts):05}.bin"
        torch.save({name: values[name] for name in part}, out / "sharded" / file)
        weight_map |= {name: file for name in part}
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    path = out / "sharded/pytorch_model.bin.index.json"
    path.write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")

    for name, value in refused().items():
        torch.save(value, out / "refused" / f"{name}.bin")


if __name__ == "__main__":
    main()
