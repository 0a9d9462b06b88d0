//! Compares files of `torch.save` with the same tensors as contiguous f32;
//! scripts/reference/torch_files.py makes both.

use std::path::{Path, PathBuf};

use splade_model::weights::Weights;

use crate::whole;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/torch")
}

/// Compares every tensor as a whole and every range of its rows, bit by bit.
fn compare(weights: &Weights, expected: &Weights) {
    for name in expected.names() {
        assert_eq!(weights.shape(name), expected.shape(name), "{name}");
        let want = expected.read_f32(name).expect("a tensor");
        assert_eq!(weights.read_f32(name).expect("a tensor"), want, "{name}");
        let Some(rows) = expected.shape(name).and_then(|shape| shape.first()) else { continue };
        let mut got = Vec::new();
        for (start, end) in (0..=*rows).flat_map(|end| (0..=end).map(move |start| (start, end))) {
            weights.read_rows_f32(name, start..end, &mut got).expect("rows");
            let width = want.len() / rows.max(&1);
            assert_eq!(got, want[start * width..end * width], "{name} {start}..{end}");
        }
        assert!(weights.read_rows_f32(name, 0..rows + 1, &mut got).is_err(), "{name}");
    }
}

#[test]
fn tensors_of_every_layout() {
    let expected = Weights::open(&fixtures().join("plain/expected")).expect("safetensors");
    assert_eq!(expected.names().count(), 21);
    let plain = Weights::open(&fixtures().join("plain")).expect("a file of torch.save");
    compare(&plain, &expected);
    let ids = "embeddings.position_ids";
    assert_eq!(plain.shape(ids), Some(&[1, 5][..]));
    let error = plain.read_f32(ids).expect_err("integers").to_string();
    assert!(error.ends_with("embeddings.position_ids does not hold floats"), "{error}");
    assert_eq!(plain.names().count(), 22);
    let sharded = Weights::open(&fixtures().join("sharded")).expect("shards");
    assert!(sharded.path().ends_with("pytorch_model.bin.index.json"));
    compare(&sharded, &expected);
    assert_eq!(sharded.names().count(), 21);
}

/// All of these files are not state dicts of plain tensors, and none of them is executed.
#[test]
fn anything_else_is_refused() {
    let reasons = [
        ("runs_code", "calls io open"),
        ("runs_code_in_state", "calls "),
        ("expanded", "weight is larger than its storage, or expanded"),
        ("overlapping", "weight is larger than its storage, or expanded"),
        ("negated", "calls torch._utils _rebuild_tensor_v2"),
        ("complex", "torch ComplexFloatStorage is not implemented"),
        ("sparse", "calls torch.serialization _get_layout"),
        ("quantized", "torch QInt8Storage is not implemented"),
        ("nested", "save that dict alone"),
        ("inner", "the dict \"state_dict\""),
        ("list", "not a dict"),
        ("tensor", "not a dict"),
    ];
    let files = std::fs::read_dir(fixtures().join("refused")).expect("the fixtures");
    assert_eq!(files.count(), reasons.len());
    let mut wrong = Vec::new();
    for (name, reason) in reasons {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("pytorch_model.bin");
        std::fs::copy(fixtures().join(format!("refused/{name}.bin")), &file).expect("copied");
        match Weights::open(folder.path()) {
            Ok(_) => wrong.push(format!("{name} was read")),
            Err(error) if whole(&error).contains(reason) => {}
            Err(error) => wrong.push(format!("{name}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(!Path::new("the-pickle-was-run").exists());
}

/// Files of before torch 1.6, and files with plain values beside the tensors;
/// scripts/reference/old_torch_files.py makes them.
#[test]
fn old_files_and_values_beside_the_tensors() {
    let count = |range: std::ops::Range<u8>| range.map(f32::from).collect::<Vec<_>>();
    let number = Weights::open(&fixtures().join("number")).expect("a tensor and a number");
    assert_eq!(number.names().collect::<Vec<_>>(), ["weight"]);
    for name in ["old", "beside-2", "beside-4"] {
        let weights = Weights::open(&fixtures().join(name)).expect(name);
        assert_eq!(weights.names().collect::<Vec<_>>(), ["bias", "turned", "weight"], "{name}");
        assert_eq!(weights.read_f32("bias").expect("a tensor"), [0.5, -0.5], "{name}");
        assert_eq!(weights.read_f32("weight").expect("a tensor"), count(0..12), "{name}");
        let turned = [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11].map(|x| x as f32);
        assert_eq!(weights.read_f32("turned").expect("a tensor"), turned, "{name}");
    }
}

#[test]
fn files_that_are_cut_off_tell_their_size() {
    for (name, keep, wanted) in [
        ("old", -1, "it has 532 bytes, but its tensors end at byte 533"),
        ("beside-2", 1100, "cut off: it has 1100 bytes, but its tensors need at least "),
        ("beside-2", 100, "cut off: it has 100 bytes, but the list of its entries"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let bytes = std::fs::read(fixtures().join(name).join("pytorch_model.bin")).expect("a file");
        let keep = if keep < 0 { bytes.len() - 1 } else { keep as usize };
        std::fs::write(folder.path().join("pytorch_model.bin"), &bytes[..keep]).expect("written");
        let error = Weights::open(folder.path()).expect_err("cut off").to_string();
        assert!(error.contains(wanted), "{name}: {error}");
    }
}

/// An index may only list files of its folder, and each tensor may only be in one of them.
#[test]
fn indices_that_do_not_fit_are_errors() {
    let shards = ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"];
    let open = |index: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        for (from, to) in shards.iter().zip(["a.bin", "b.bin"]) {
            let from = fixtures().join("sharded").join(from);
            std::fs::copy(&from, folder.path().join(to)).expect("copied");
        }
        std::fs::copy(folder.path().join("a.bin"), folder.path().join("c.bin")).expect("copied");
        let path = folder.path().join("pytorch_model.bin.index.json");
        std::fs::write(path, index).expect("written");
        Weights::open(folder.path()).map(|weights| weights.names().count())
    };
    assert_eq!(open(r#"{"weight_map": {"x": "a.bin", "y": "b.bin"}}"#).expect("shards"), 21);
    for (index, reason) in [
        ("{}", "there is no \"weight_map\""),
        (r#"{"weight_map": {"x": "../a.bin"}}"#, "\"../a.bin\" is not a file of this folder"),
        (r#"{"weight_map": {"x": ".."}}"#, "\"..\" is not a file of this folder"),
        (r#"{"weight_map": {"x": "/"}}"#, "\"/\" is not a file of this folder"),
        (r#"{"weight_map": {"x": 1}}"#, "1 is not a file of this folder"),
        (r#"{"weight_map": {"x": "none.bin"}}"#, "none.bin"),
        (r#"{"weight_map": {"x": "a.bin", "y": "c.bin"}}"#, "occurs twice"),
        ("", "cannot read"),
        ("{", "is not valid JSON"),
    ] {
        let error = open(index).expect_err(index).to_string();
        assert!(error.contains(reason), "{index}: {error}");
    }
}
