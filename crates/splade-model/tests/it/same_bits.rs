//! A text's vector has the same bits on every CPU. The tests encode with the models in this
//! repository on every instruction set of this machine, and compare the results with each other and
//! with hashes, which machines with other instruction sets check too. After an intended change of
//! the arithmetic, the failing test prints the new table.

use std::path::Path;

use splade_model::folder::{Pooling, Saturation};
use splade_model::training::Trainable;
use splade_model::{Encoder, EncoderOptions, Isa, Precision};

/// The models of the repository, and small ones for the other kinds of attention.
const ENCODERS: [&str; 4] = [
    "../../models/demo",
    "../../models/mini-ja-en",
    "tests/fixtures/reference/deberta-v2",
    "tests/fixtures/reference/modernbert",
];

const GOLDEN: [(&str, Precision, u64); 8] = [
    ("../../models/demo", Precision::F32, 0x103c5b200b7236ed),
    ("../../models/demo", Precision::Int8, 0x01170aa92d3c8f2d),
    ("../../models/mini-ja-en", Precision::F32, 0x31a9f6c6d0856291),
    ("../../models/mini-ja-en", Precision::Int8, 0xf0a0b30a5c108543),
    ("tests/fixtures/reference/deberta-v2", Precision::F32, 0xa890df0d6262e979),
    ("tests/fixtures/reference/deberta-v2", Precision::Int8, 0x3f9b65e45fb1f27b),
    ("tests/fixtures/reference/modernbert", Precision::F32, 0x0c161613593eab48),
    ("tests/fixtures/reference/modernbert", Precision::Int8, 0x879dc688282ffa43),
];

/// Small models of every family that can be trained.
const MODELS: [&str; 14] = [
    "bert",
    "bert-gelu-new",
    "bert-gelu-tanh",
    "bert-japanese",
    "bert-relu",
    "bert-silu",
    "bert-untied",
    "camembert",
    "distilbert",
    "electra",
    "modernbert",
    "modernbert-biases",
    "roberta",
    "xlm-roberta",
];

const GRADIENTS: [(&str, u64); 14] = [
    ("bert", 0x7c0fd49ee1c8dc43),
    ("bert-gelu-new", 0xec5f3ab32000651b),
    ("bert-gelu-tanh", 0xc6b2425d6c5e75a5),
    ("bert-japanese", 0x5b0d7e98e0fdcc95),
    ("bert-relu", 0x0e4e38db86df373f),
    ("bert-silu", 0x521ed1e96c8eaa72),
    ("bert-untied", 0xa72b3c9417ee6a0a),
    ("camembert", 0x2dfa0d002933a825),
    ("distilbert", 0xee3f5301d3a6c14b),
    ("electra", 0xc3d17bfadbee26d5),
    ("modernbert", 0xe2c3881225ab8480),
    ("modernbert-biases", 0xc3c1797ac985751f),
    ("roberta", 0x6792b87129082402),
    ("xlm-roberta", 0x72dece6c93c3489b),
];

const TEXTS: [&str; 8] = [
    "2025年の大阪・関西万博はいつ開催されましたか",
    "東京タワーの高さは333メートルである。",
    "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。何でも薄暗いじめじめした所で\
     ニャーニャー泣いていた事だけは記憶している。",
    "カレー",
    "What is the capital of Japan?",
    "The Tokyo Tower is a communications and observation tower, completed in 1958.",
    "splade",
    "Sparse vectors of 日本語 and English in one index: 検索 works with both.",
];

/// Returns the terms and the bits of their weights.
fn bits(model: &str, isa: Isa, precision: Precision) -> Vec<Vec<(u32, u32)>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(model);
    let options = EncoderOptions { isa, precision, threads: Some(2), ..Default::default() };
    let encoder = Encoder::load(&dir, &options).expect("a model of the repository");
    let vectors = encoder.encode(&TEXTS).expect("encoded");
    let terms = |vector: &splade_sparse::SparseVector| {
        vector.iter().map(|(term, weight)| (term.0, weight.to_bits())).collect()
    };
    vectors.iter().map(terms).collect()
}

/// Returns the row-major gradients of every tensor for one training step with the model's dropout.
fn gradients(model: &Path, isa: Isa, pooling: Pooling) -> Vec<u32> {
    let mut model = Trainable::load(model, pooling, Saturation::Log1pRelu, isa).expect("a model");
    let texts: Vec<Vec<u32>> =
        [3u32, 19, 40].iter().map(|n| (0..*n).map(|i| 5 + (i * 7 + n) % 50).collect()).collect();
    let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
    let pooled = model.forward(&texts, &[1, 2, 3]);
    let by_weight = |terms: &Vec<splade_model::training::PooledTerm>| {
        terms.iter().map(|term| (term.term % 11) as f32 / 8.0 - 0.5).collect()
    };
    let d: Vec<Vec<f32>> = pooled.iter().map(by_weight).collect();
    let mut all: Vec<u32> = pooled.iter().flatten().map(|term| term.weight.to_bits()).collect();
    model.backward(&d);
    for (value, gradient) in model.parameters() {
        for tensor in value.layout().to_tensors(gradient.numbers) {
            all.extend(tensor.numbers.iter().map(|x| x.to_bits()));
        }
    }
    all
}

/// Computes the FNV-1a hash of 64 bits.
fn fnv(numbers: impl Iterator<Item = u32>) -> u64 {
    numbers.flat_map(u32::to_le_bytes).fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn hash(vectors: &[Vec<(u32, u32)>]) -> u64 {
    fnv(vectors.iter().flat_map(|terms| {
        let numbers = terms.iter().flat_map(|(term, weight)| [*term, *weight]);
        std::iter::once(terms.len() as u32).chain(numbers)
    }))
}

#[test]
fn every_instruction_set_gives_the_same_vectors() {
    let (mut wrong, mut table) = (Vec::new(), String::new());
    let mut golden = GOLDEN.iter();
    for model in ENCODERS {
        for precision in [Precision::F32, Precision::Int8] {
            let portable = bits(model, Isa::named("portable").expect("always there"), precision);
            assert!(portable.iter().map(Vec::len).sum::<usize>() > 20, "{model}: hardly a term");
            for isa in Isa::supported() {
                if bits(model, isa, precision) != portable {
                    wrong.push(format!("{model} {precision}: {isa} differs from portable"));
                }
            }
            let hash = hash(&portable);
            if golden.next() != Some(&(model, precision, hash)) {
                wrong.push(format!("{model} {precision}: not the bits that are written here"));
            }
            table += &format!("    ({model:?}, Precision::{precision:?}, 0x{hash:016x}),\n");
        }
    }
    assert!(wrong.is_empty(), "{}\n{table}", wrong.join("\n"));
}

#[test]
fn every_instruction_set_gives_the_same_gradients() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reference");
    let (mut wrong, mut table) = (Vec::new(), String::new());
    let mut golden = GRADIENTS.iter();
    for model in MODELS {
        let run = |isa| {
            let of = |pooling| gradients(&fixtures.join(model), isa, pooling);
            [of(Pooling::Max), of(Pooling::Sum)].concat()
        };
        let portable = run(Isa::named("portable").expect("always there"));
        for isa in Isa::supported() {
            if run(isa) != portable {
                wrong.push(format!("{model}: {isa} differs from portable"));
            }
        }
        let hash = fnv(portable.into_iter());
        if golden.next() != Some(&(model, hash)) {
            wrong.push(format!("{model}: not the bits that are written here"));
        }
        table += &format!("    ({model:?}, 0x{hash:016x}),\n");
    }
    assert!(wrong.is_empty(), "{}\n{table}", wrong.join("\n"));
}
