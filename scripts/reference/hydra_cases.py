"""Composes a table of configs with Hydra itself and writes the results.

    python scripts/reference/hydra_cases.py crates/hydra-compose/tests/fixtures/hydra.json

Each case is a set of files, a config name, overrides and environment variables. The fixture stores the case with the
result of Hydra 1.3.2 and OmegaConf 2.3.0: the YAML of `--cfg job`, the resolved values, the list of jobs of a sweep, or
the class of the error.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

TREE = {
    "main.yaml": """\
defaults:
  - model: small
  - data: toy
  - training: fast
""",
    "model/small.yaml": "model_name_or_path: models/demo\nmax_length: 64\nagg: max\n",
    "model/large.yaml": "model_name_or_path: big\nmax_length: 256\n",
    "data/toy.yaml": """\
DATA_PATH: data/toy
train_doc_master: ${.DATA_PATH}/train/doc_master.ndjson
nested:
  up: ${..DATA_PATH}
  further: ${data.nested.up}/x
list:
  - ${..DATA_PATH}
  - ${model.max_length}
eval_loss_size: 0
""",
    "training/fast.yaml": """\
learning_rate: 2e-5
warmup_steps: 6_000
output_dir: output/${model.agg}_${training.learning_rate}
validation_metrics: [MRR@10, recall@10]
regularizers:
  doc: {reg_type: FLOPS, lambda_: 0.008, T: 50000}
  query: {reg_type: L1, lambda_: 1e-2, T: 5e4}
fp16: yes
nothing:
""",
    "training/slow.yaml": """\
defaults:
  - fast
  - _self_
learning_rate: 1e-6
regularizers:
  doc:
    lambda_: .5
""",
    "training/needs.yaml": "learning_rate: ???\nseed: 1\n",
    "experiment/big.yaml": """\
# @package _global_
defaults:
  - override /model: large
  - override /training: slow
model:
  agg: sum
training:
  seed: 7
""",
}

SCALARS = """\
bools: [yes, No, on, OFF, True, y, n, "yes", 'off']
ints: [0, -1, +2, 010, 0x1F, 0b101, 1_000, 1:30, 12:30:45, 08, 0o7]
floats: [1.0, .5, 5., 1e5, 1E-3, -2.5e+3, 1_0.5, .inf, -.INF, .NaN, 1e, 1.5e, 1:30.5, 1_000e3, 0.1e10, 1e16, 123456789.123]
nulls: [null, Null, NULL, ~, "null"]
none:
dates: [2026-11-23, "2026-11-23", 2026-11-23T10:00:00]
strings: [a b, 'it''s', "tab\\there", "two\\nlines", " lead", "trail ", "", "#x", "a # b", "a: b", a:b, "- a", -a, "?", "!x", "%x", "@x", "é", "日本語", "\\U0001F600", "=", "<<", "...", "---x", "1e5", "12", "inf", "nan", "1_0", "null", "~", "{a}", "[a", "a,b", "a]", "*x", "&x", "|", ">", "`", "\\\\", "\\"", "\\0", "\\u2028", "0.1.2", "1.2.3.4", ".5.", "+", "-", ".", "_", "1_", "0x", "y", "N", "infinity", "true"]
literal: |
  one
   two

  three
folded: >-
  one
  two
long: aaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbb ccccccccccccccccccc dddddddddddddddddddddd eeeeeeeeeeeeeeeee fffffffffff gggggggggggg
long_quoted: "# aaaaaaaaaaaaa bbbbbbbbbbbbbbbbbb ccccccccccccccccccc dddddddddddddddddddddd eeeeeeeeeeeeeeeee fffffffffff  ggg"
long_double: "\\t aaaaaaaaaaaaa bbbbbbbbbbbbbbbbbb ccccccccccccccccccc dddddddddddddddddddddd eeeeeeeeeeeeeeeee\\tfffffffffff ggg"
deep:
  list:
  - - 1
    - [2, {a: 3, b: [], c: {}}]
  - a: 1
    b:
    - x: y
      z:
      - 1
  empty_list: []
  empty_map: {}
  "quoted key": 1
  "yes": 1
  "12": 2
  "": 3
anchors:
  base: &base {x: 1, y: 2}
  use: {<<: *base, y: 3, z: 4}
  again: *base
  both:
    <<: [{x: 5, w: 6}, *base]
    z: 1
"""

INTERPOLATIONS = """\
a: 1
b: text
flag: true
none: null
rate: 2e-5
whole: ${a}
spaced: ${ a }
typed: ['${a}', '${flag}', '${none}', '${rate}', "${a}"]
middle: x${a}y${flag}z${none}${rate}
container: ${group}
group:
  x: ${.y}
  y: ${b}
  inner:
    up: ${..y}
    root: ${group.inner.up}
  list: [10, 20, '${.0}', '${..y}']
index: ${group.list.1} ${group.list[0]} ${group[y]}
below: ${container.inner.up}
dynamic: ${group.${letter}}
letter: y
escaped: \\${a} and \\\\${a} and \\\\\\${a}
env: ${oc.env:CASE_A}
env_default: ${oc.env:CASE_UNSET,fallback}
env_number: ${oc.env:CASE_UNSET,12}
env_null: ${oc.env:CASE_UNSET,null}
env_quoted: ${oc.env:CASE_UNSET,'a, b'}
env_path: ${oc.env:CASE_UNSET,/tmp/x-1.txt}
env_nested: ${oc.env:CASE_UNSET,${b}}/${oc.env:CASE_UNSET,x${a}}
env_list: [run, '${oc.env:CASE_A}/x']
decoded: ${oc.decode:${oc.env:CASE_N}}
decoded_list: ${oc.decode:'[1, a, 2.5]'}
selected: ${oc.select:b} ${oc.select:nowhere,other}
dollar: $ {a} $a a$
"""

CASES = []


def case(name, overrides=(), files=None, config="main", env=None):
    CASES.append(dict(name=name, overrides=list(overrides), files=files or TREE, config=config, env=env or {}))


case("plain")
case("with suffix", config="main.yaml")
case("group swap", ["model=large"])
case("group with its own defaults", ["training=slow"])
case("group list", ["model=[small,large]"])
case("group taken out", ["~model"], files={**TREE, "data/toy.yaml": "x: 1\n", "training/fast.yaml": "y: 2\n"})
case("group taken out by name", ["~data=toy"])
case("group taken out by a wrong name", ["~data=other"])
case("group added", ["+experiment=big"])
case("group added and swapped", ["+experiment=big", "model=small"])
case("group added under another package", ["+model@second=large"])
case("group unknown choice", ["model=huge"])
case("group unknown", ["modle=large"])
case("group not in the list", ["experiment=big"])
case("group with a number", ["model=1"])
case("group force-added", ["++model=large"])
case("no such config", config="other")
case("change", ["training.learning_rate=1e-3", "model.max_length=512"])
case("change nested", ["training.regularizers.doc.T=0", "training.regularizers.query={T:1}"])
case("change list", ["training.validation_metrics=[MRR@10,ndcg@10]"])
case("change list entry", ["training.validation_metrics.1=map@5"])
case("change list entry out of range", ["training.validation_metrics.7=map@5"])
case("change to nothing", ["training.nothing=null", "training.fp16=", "model.agg='max'"])
case("change unknown", ["training.learning_rat=1"])
case("change unknown in a mapping", ["training={new:1}"])
case("change below a value", ["model.agg.x=1"])
case("change a mapping to a value", ["training.regularizers=null"])
case("change with an interpolation", ["training.output_dir=${model.agg}/x", "training.seed=${.warmup_steps}"], files={**TREE, "training/fast.yaml": TREE["training/fast.yaml"] + "seed: 1\n"})
case("add", ["+training.seed=3", "+new.deep.key=[1,{a:2}]"])
case("add what is there", ["+training.fp16=true"])
case("add to null", ["+training.nothing=true"])
case("add below a value", ["+model.max_length.x=1"])
case("add into a mapping", ["+training.regularizers={doc:{extra:1}}"])
case("force add", ["++training.fp16=false", "++training.seed=1"])
case("delete", ["~training.fp16", "~training.regularizers.doc"])
case("delete with value", ["~model.max_length=64"])
case("delete with another value", ["~model.max_length=65"])
case("delete unknown", ["~training.seed"])
case("later wins", ["model.max_length=1", "model.max_length=2"])
case("mandatory", ["training=needs"])
case("mandatory given", ["training=needs", "training.learning_rate=1"])
case("sweep without -m", ["model.max_length=1,2"])
case("two equals", ["model.agg=a=b"])

VALUES = [
    "1", "-1", "+1", "1_000", "010", "0", "1.0", "1.", ".5", "-.5", "1e5", "1e-3", "1.5E+3", "1_0.5", "1__0", "_1", "inf", "-inf", "NaN", "nan1",
    "true", "TRUE", "False", "yes", "on", "null", "Null", "~", "none", "a b", " a ", "a-b", "a/b.c", "./x", "a:b", "a\\,b", "a\\=b", "\\(x\\)", "a\\ ", "\\\\x", "\\x",
    "'a, b'", "\"a\"", "'it\\'s'", "'back\\\\'", "'a\\b'", "''", "'1'", "'true'", "[]", "[ 1 , a ]", "[[1],[2,[3]]]", "{}", "{a:1, b: x}", "{a:{b:[1]}}", "['a,b',\"c\"]", "{a b:1}", "[1,]",
    "a$b", "$x", "100%", "a@b", "a?b*c", "a|b", "1k", "1-2", "2026-11-23", "12:30", "1.2.3", "e5", "${model.agg}", "x${model.agg}", "'${model.agg}'", "${oc.env:CASE_A}", "a=b", "a#b", "(x)", "[a", "a]", "{a:1", "'x", "a'b'", "a,", ",",
]
for value in VALUES:
    case(f"value {value}", [f"model.agg={value}"], files={**TREE, "main.yaml": "defaults:\n  - model: small\n"}, env={"CASE_A": "here"})

case("scalars", files={"main.yaml": SCALARS})
case("interpolations", files={"main.yaml": INTERPOLATIONS}, env={"CASE_A": "here", "CASE_N": "[1, 2]"})
for name, text in {
    "cycle": "a: ${b}\nb: ${a}\n",
    "self": "a: x${a}\n",
    "cycle through a mapping": "a:\n  b: ${a}\n",
    "missing key": "a: ${b}\n",
    "missing environment": "a: ${oc.env:CASE_UNSET}\n",
    "above the root": "a: ${...b}\nb: 1\n",
    "to mandatory": "a: ${b}\nb: ???\n",
    "unknown resolver": "a: ${nothing:1}\n",
    "unclosed": "a: ${b\nb: 1\n",
    "mapping in a string": "a: {b: 1}\nc: x\nd: ${c.e}\n",
}.items():
    case(f"interpolation {name}", files={"main.yaml": text})

case("self first", files={"main.yaml": "defaults: [_self_, g: x]\ng: {a: 1, b: 1}\n", "g/x.yaml": "a: 2\n"})
case("self last", files={"main.yaml": "defaults: [g: x, _self_]\ng: {a: 1, b: 1}\n", "g/x.yaml": "a: 2\nc: 3\n"})
case("self unnamed", files={"main.yaml": "defaults: [g: x]\ng: {a: 1, b: 1}\n", "g/x.yaml": "a: 2\nc: 3\n"})
case("self twice", files={"main.yaml": "defaults: [_self_, g: x, _self_]\n", "g/x.yaml": "a: 2\n"})
case("other file", files={"main.yaml": "defaults: [base, _self_]\nb: 2\n", "base.yaml": "a: 1\nb: 1\n"})
case("missing file", files={"main.yaml": "defaults: [base, _self_]\nb: 2\n"})
case("optional file", files={"main.yaml": "defaults: [{optional g: x}, {optional h: y}, _self_]\nb: 2\n", "h/y.yaml": "c: 1\n"})
case("null choice", files={"main.yaml": "defaults: [{g: null}, _self_]\nb: 2\n", "g/x.yaml": "c: 1\n"})
case("null choice given", ["g=x"], files={"main.yaml": "defaults: [{g: null}, _self_]\nb: 2\n", "g/x.yaml": "c: 1\n"})
case("mandatory choice", files={"main.yaml": "defaults: [{g: '???'}]\n", "g/x.yaml": "c: 1\n"})
case("mandatory choice given", ["g=x"], files={"main.yaml": "defaults: [{g: '???'}]\n", "g/x.yaml": "c: 1\n"})
case("several choices", files={"main.yaml": "defaults: [{g: [x, y]}]\n", "g/x.yaml": "c: 1\nd: 1\n", "g/y.yaml": "c: 2\n"})
case("package header global", files={"main.yaml": "defaults: [{g: x}]\n", "g/x.yaml": "# @package _global_\nc: 1\n"})
case("package header name", files={"main.yaml": "defaults: [{g: x}]\n", "g/x.yaml": "# @package a.b\nc: 1\n"})
case("package in the list", files={"main.yaml": "defaults: [{g@a: x}, {g@b.c: y}, {g@_global_: z}]\n", "g/x.yaml": "c: 1\n", "g/y.yaml": "d: 1\n", "g/z.yaml": "e: 1\n"})
case("package in the list swapped", ["g@a=y"], files={"main.yaml": "defaults: [{g@a: x}]\n", "g/x.yaml": "c: 1\n", "g/y.yaml": "d: 1\n"})
case("package needed for the swap", ["g=y"], files={"main.yaml": "defaults: [{g@a: x}, {g@b: x}]\n", "g/x.yaml": "c: 1\n", "g/y.yaml": "d: 1\n"})
case("package here", files={"main.yaml": "defaults: [{g: x}]\n", "g/x.yaml": "defaults: [{/h@_here_: u}]\na: 1\n", "h/u.yaml": "b: 1\n"})
case("package of a subgroup", files={"main.yaml": "defaults: [{g: x}]\n", "g/x.yaml": "defaults: [{sub: u}, {/h: v}, {/h@_group_: v}]\na: 1\n", "g/sub/u.yaml": "b: 1\n", "h/v.yaml": "v: 1\n"})
case("folder in the name", files={"main.yaml": "defaults: [{g/sub: u}]\n", "g/sub/u.yaml": "b: 1\n"})
case("folder in the name swapped", ["g/sub=v"], files={"main.yaml": "defaults: [{g/sub: u}]\n", "g/sub/u.yaml": "b: 1\n", "g/sub/v.yaml": "b: 2\n"})
case("config in a folder", config="sub/main", files={"sub/main.yaml": "defaults: [{g: x}]\na: 1\n", "sub/g/x.yaml": "b: 1\n"})
case("override in the list", files={"main.yaml": "defaults: [base, {override g: y}]\n", "base.yaml": "defaults: [{g: x}]\n", "g/x.yaml": "b: 1\n", "g/y.yaml": "b: 2\n"})
case("override not last", files={"main.yaml": "defaults: [{override g: y}, base]\n", "base.yaml": "defaults: [{g: x}]\n", "g/x.yaml": "b: 1\n", "g/y.yaml": "b: 2\n"})
case("override of nothing", files={"main.yaml": "defaults: [base, {override h: y}]\n", "base.yaml": "defaults: [{g: x}]\n", "g/x.yaml": "b: 1\n", "h/y.yaml": "b: 2\n"})
case("group chosen twice", files={"main.yaml": "defaults: [{g: x}, {g: y}]\n", "g/x.yaml": "b: 1\n", "g/y.yaml": "b: 2\n"})
case("group chosen twice alike", files={"main.yaml": "defaults: [{g: x}, {g: x}]\n", "g/x.yaml": "b: 1\n"})
case("defaults no list", files={"main.yaml": "defaults: {g: x}\n", "g/x.yaml": "b: 1\n"})
case("defaults with two keys", files={"main.yaml": "defaults: [{g: x, h: y}]\n", "g/x.yaml": "b: 1\n"})
case("null over a mapping", files={"main.yaml": "defaults: [{g: x}, _self_]\ng: {a: null, b: 1, c: {d: 1}}\n", "g/x.yaml": "a: {x: 1}\nb: {y: 1}\nc: null\n"})
case("list over a list", files={"main.yaml": "defaults: [{g: x}, _self_]\ng: {a: [1], b: {k: 1}}\n", "g/x.yaml": "a: [1, 2, 3]\nb: 1\n"})
case("mapping over a list", files={"main.yaml": "defaults: [{g: x}, _self_]\ng: {b: {k: 1}}\n", "g/x.yaml": "b: [1]\n"})
case("list over a mapping", files={"main.yaml": "defaults: [{g: x}, _self_]\ng: {b: [1]}\n", "g/x.yaml": "b: {k: 1}\n"})
case("add a list to a mapping", ["+training.regularizers=[1]"])
case("mandatory over a value", files={"main.yaml": "defaults: [{g: x}, _self_]\ng: {a: '???'}\n", "g/x.yaml": "a: 1\n"})
case("empty", files={"main.yaml": ""})
case("duplicate key", files={"main.yaml": "a: 1\na: 2\n"})
case("bad yaml", files={"main.yaml": "a: [1\nb: 2\n"})
case("list at the root", files={"main.yaml": "- 1\n"})
case("hydra node", files={"main.yaml": "a: 1\nhydra:\n  run:\n    dir: here/${a}\n"})

SWEEPS = [
    ["a=1,2", "b=3,4"],
    ["g=x,y", "a=1"],
    ["a=choice(1,x,'y z')", "b=range(1,4)"],
    ["a=[1,2],[3]", "b={k:1},{k:2}"],
    ["g=glob(*)", "~b", "+c=1e-5,0.001"],
    ["a=a\\,b,c d", "b=null,true"],
    ["a=1,2", "b=5", "a=7,8"],
    ["a=range(0,1,0.25)"],
    ["a='it\\'s',\"q\""],
]
SWEEP_FILES = {"main.yaml": "defaults: [{g: x}]\na: 0\nb: 0\n", "g/x.yaml": "u: 1\n", "g/y.yaml": "u: 2\n"}


def write(files, folder):
    for path, text in files.items():
        target = Path(folder) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def plain(value):
    """Replaces infinities, which JSON does not have."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, float) and value - value != 0:
        return {"float": repr(value)}
    return value


def run(one):
    result = dict(one)
    if one["files"] is TREE:
        result["files"] = "tree"
    elif TREE.items() & one["files"].items():
        result["files"] = {k: v for k, v in one["files"].items() if TREE.get(k) != v}
        result["tree_without"] = sorted(set(TREE) - set(one["files"]))
    os.environ.update(one["env"])
    with tempfile.TemporaryDirectory() as folder:
        write(one["files"], folder)
        try:
            with initialize_config_dir(folder, version_base="1.2"):
                config = compose(one["config"], one["overrides"])
                result["yaml"] = OmegaConf.to_yaml(config)
        except Exception as e:  # noqa: BLE001 - the class is what is recorded
            result["error"] = type(e).__name__
            return result
    try:
        values = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
        result["value"] = plain(values)
    except Exception as e:  # noqa: BLE001
        result["value_error"] = type(e).__name__
    return result


def sweep(overrides):
    with tempfile.TemporaryDirectory() as folder:
        write(SWEEP_FILES, folder)
        with initialize_config_dir(folder, version_base="1.2"):
            from hydra.core.global_hydra import GlobalHydra

            loader = GlobalHydra.instance().config_loader()
            try:
                parsed = OverridesParser.create(config_loader=loader).parse_overrides(overrides)
                jobs = BasicSweeper.split_arguments(parsed, None)[0]
                configs = [OmegaConf.to_yaml(compose("main", job)) for job in jobs]
            except Exception as e:  # noqa: BLE001
                return dict(overrides=overrides, error=type(e).__name__)
    return dict(overrides=overrides, jobs=[list(job) for job in jobs], yaml=configs)


if __name__ == "__main__":
    out = dict(
        made_by="scripts/reference/hydra_cases.py with hydra-core 1.3.2, omegaconf 2.3.0",
        tree=TREE,
        cases=[run(one) for one in CASES],
        sweep_files=SWEEP_FILES,
        sweeps=[sweep(one) for one in SWEEPS],
    )
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(out, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
