//! The objective is compared with PyTorch (`scripts/reference/objectives.py`), with finite
//! differences, and with itself.

use serde_json::Value;

use super::losses::TeacherNumbers;
use super::scores::Scores;
use super::*;
use crate::config::{LossKind, RegularizerKind, Regularizers, Strength};

const FIXTURE: &str = include_str!("../../tests/fixtures/objective.json");
const LOSSES: [LossKind; 5] = [
    LossKind::InBatchNegatives,
    LossKind::PairwiseContrastive,
    LossKind::KlDiv,
    LossKind::MarginMse,
    LossKind::InBatchKlDiv,
];

struct Batch {
    vocab: usize,
    queries: Vec<Terms>,
    positives: Vec<Terms>,
    negatives: Vec<Terms>,
    teacher: Vec<f32>,
    /// The similarities of every query and all documents, positives first.
    similarities: Vec<f32>,
}

impl Batch {
    fn view(&self) -> BatchVectors<'_> {
        BatchVectors {
            vocab: self.vocab,
            queries: &self.queries,
            positives: &self.positives,
            negatives: &self.negatives,
            teacher_scores: Some(&self.teacher),
            teacher_similarities: Some(&self.similarities),
        }
    }

    fn of(value: &Value) -> Self {
        let texts = |name: &str| {
            let text = |text: &Value| Terms {
                terms: numbers(&text["terms"]).iter().map(|&t| t as u32).collect(),
                weights: numbers(&text["weights"]).iter().map(|&w| w as f32).collect(),
            };
            value[name].as_array().unwrap().iter().map(text).collect()
        };
        let teacher: Vec<f32> = flat(&value["teacher"]).iter().map(|&t| t as f32).collect();
        let queries: Vec<Terms> = texts("queries");
        let similarities = match value.get("similarities") {
            Some(numbers) => flat(numbers).iter().map(|&s| s as f32).collect(),
            None => similarities(queries.len(), teacher.len()),
        };
        Self {
            vocab: 14,
            positives: texts("positives"),
            negatives: texts("negatives"),
            similarities,
            queries,
            teacher,
        }
    }

    /// Returns a random batch in which every term occurs in about a third of the texts.
    fn random(seed: u64, vocab: usize, queries: usize, negatives: usize) -> Self {
        let mut state = seed;
        let mut uniform = move || {
            // The generator is SplitMix64.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 40) as f32 / (1 << 24) as f32
        };
        let mut texts = |count: usize| -> Vec<Terms> {
            let mut text = || {
                let terms: Vec<u32> = (0..vocab as u32).filter(|_| uniform() < 0.35).collect();
                let weights = terms.iter().map(|_| 0.05 + uniform()).collect();
                Terms { terms, weights }
            };
            (0..count).map(|_| text()).collect()
        };
        let (q, p, n) = (texts(queries), texts(queries), texts(queries * negatives));
        let documents = queries * (1 + negatives);
        let teacher = (0..documents).map(|i| (i * 7 % 11) as f32 * 0.4).collect();
        let similarities = similarities(queries, documents);
        Self { vocab, queries: q, positives: p, negatives: n, teacher, similarities }
    }
}

/// Returns similarities without a pattern that a loss could profit from.
fn similarities(queries: usize, documents: usize) -> Vec<f32> {
    (0..queries * documents).map(|i| (i * 5 % 13) as f32 * 0.3 - 1.0).collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn flat(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().flat_map(numbers).collect()
}

fn loss_kind(name: &str) -> LossKind {
    LOSSES.into_iter().find(|&kind| losses::name(kind) == format!("{name}_loss")).unwrap()
}

fn loss(kind: LossKind) -> LossConfig {
    LossConfig::new(kind)
}

fn regularizer(value: &Value) -> Option<RegularizerConfig> {
    let number = |name: &str| value[name].as_f64().unwrap();
    let kind = match value["kind"].as_str()? {
        "FLOPS" => RegularizerKind::Flops,
        "L1" => RegularizerKind::L1,
        "threshold" => {
            RegularizerKind::ThresholdedFlops { threshold: number("threshold") as usize }
        }
        "DF_FLOPS" => RegularizerKind::DfFlops {
            alpha: number("alpha"),
            beta: number("beta"),
            interval: number("interval") as u64,
        },
        other => panic!("{other}"),
    };
    Some(RegularizerConfig::scheduled(kind, number("lambda"), number("T")))
}

fn objective_of(
    losses: &[LossConfig],
    regularizers: Regularizers,
) -> Result<Objective, TrainError> {
    let losses = losses.to_vec();
    let training = TrainingConfig { losses, regularizers, ..TrainingConfig::default() };
    Objective::new(&training, 100)
}

fn objective(
    losses: &[LossConfig],
    query: Option<RegularizerConfig>,
    doc: Option<RegularizerConfig>,
) -> Objective {
    objective_of(losses, Regularizers { doc, query }).unwrap()
}

/// Returns whether the numbers differ by at most `relative` times the larger of them, or times 1.
fn close(got: f64, expected: f64, relative: f64) -> bool {
    (got - expected).abs() <= relative * expected.abs().max(1.0)
}

/// Values must agree to 1e-12 (both are sums of some hundred f64), and gradients to the rounding to
/// f32.
fn compare(case: &str, got: &ObjectiveValue, expected: &Value) {
    let number = |name: &str| expected[name].as_f64().unwrap();
    for (name, got) in [
        ("loss", got.loss),
        ("regularizer", got.regularizer),
        ("lambda_q", got.lambda_q),
        ("lambda_d", got.lambda_d),
    ] {
        assert!(close(got, number(name), 1e-12), "{case}, {name}: {got}, not {}", number(name));
    }
    assert_eq!(got.components.len(), expected["components"].as_object().unwrap().len());
    for (name, got) in &got.components {
        let expected = expected["components"][name].as_f64().unwrap();
        assert!(close(*got, expected, 1e-12), "{case}, {name}: {got}, not {expected}");
    }
    let gradients = &got.gradients;
    for (name, got) in [
        ("queries", &gradients.queries),
        ("positives", &gradients.positives),
        ("negatives", &gradients.negatives),
    ] {
        let expected = expected["gradients"][name].as_array().unwrap();
        assert_eq!(got.len(), expected.len(), "{case}, {name}");
        for (text, (got, expected)) in got.iter().zip(expected).enumerate() {
            let expected = numbers(expected);
            assert_eq!(got.len(), expected.len(), "{case}, {name} {text}");
            for (place, (&got, &expected)) in got.iter().zip(&expected).enumerate() {
                let near = close(f64::from(got), expected, 6e-8);
                assert!(near, "{case}, {name} {text}, term {place}: {got}, not {expected}");
            }
        }
    }
}

#[test]
fn losses_and_regularizers_are_pytorchs() {
    let fixture: Value = serde_json::from_str(FIXTURE).unwrap();
    let cases = fixture["objectives"].as_array().unwrap();
    assert_eq!(cases.len(), 12);
    for case in cases {
        let losses: Vec<LossConfig> = case["losses"]
            .as_array()
            .unwrap()
            .iter()
            .map(|config| LossConfig {
                weight: config["weight"].as_f64().unwrap(),
                temperature: config["temperature"].as_f64().unwrap(),
                ..loss(loss_kind(config["kind"].as_str().unwrap()))
            })
            .collect();
        let batch = Batch::of(&fixture["batches"][case["batch"].as_str().unwrap()]);
        let mut objective =
            objective(&losses, regularizer(&case["query"]), regularizer(&case["doc"]));
        let step = case["step"].as_u64().unwrap();
        let got = objective.compute(&batch.view(), step).unwrap();
        compare(&format!("{} {losses:?}", case["batch"]), &got, &case["expected"]);
        // Nothing is counted here, so an evaluation gives the same.
        assert_eq!(objective.evaluate(&batch.view(), step).unwrap(), got);
    }
}

/// The fixture has losses with temperatures of the teacher's own, standardized scores, and the
/// similarities of a teacher's vectors (`scripts/reference/teacher_losses.py`).
#[test]
fn losses_of_teachers_are_pytorchs() {
    let fixture = include_str!("../../tests/fixtures/teacher_losses.json");
    let fixture: Value = serde_json::from_str(fixture).unwrap();
    let cases = fixture["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 10);
    for case in cases {
        let config = |config: &Value| LossConfig {
            weight: config["weight"].as_f64().unwrap(),
            temperature: config["temperature"].as_f64().unwrap(),
            teacher_temperature: config["teacher_temperature"].as_f64(),
            standardize: config["standardize"].as_bool().unwrap(),
            ..loss(loss_kind(config["kind"].as_str().unwrap()))
        };
        let losses: Vec<LossConfig> =
            case["losses"].as_array().unwrap().iter().map(config).collect();
        let of = &fixture["batches"][case["batch"].as_str().unwrap()];
        let batch = Batch::of(of);
        let got = objective(&losses, None, None).compute(&batch.view(), 0).unwrap();
        // Sums of less than a hundred f64.
        let value = case["value"].as_f64().unwrap();
        assert!(close(got.loss, value, 1e-12), "{losses:?}: {}, not {value}", got.loss);
        for ((name, got), part) in got.components.iter().zip(numbers(&case["parts"])) {
            assert!(close(*got, part, 1e-12), "{losses:?} {name}: {got}, not {part}");
        }
        let of = &case["gradients"];
        let VectorGradients { queries, positives, negatives } = &got.gradients;
        for (name, got) in
            [("queries", queries), ("positives", positives), ("negatives", negatives)]
        {
            let expected = flat(&of[name]);
            let got: Vec<f32> = got.concat();
            assert_eq!(got.len(), expected.len());
            for (place, (got, expected)) in got.iter().zip(&expected).enumerate() {
                // The gradients are rounded to f32.
                let near = close(f64::from(*got), *expected, 1e-7);
                assert!(near, "{losses:?} {name} {place}: {got}, not {expected}");
            }
        }
    }
}

/// Scores on other scales are the same teacher once they are standardized, and equal scores say
/// nothing.
#[test]
fn standardized_scores_have_no_scale() {
    let batch = Batch::random(4, 12, 3, 3);
    for kind in [LossKind::KlDiv, LossKind::MarginMse, LossKind::InBatchKlDiv] {
        let config = LossConfig { standardize: true, ..loss(kind) };
        let objective = objective(&[config], None, None);
        let moved = |numbers: &[f32]| -> Vec<f32> {
            // Powers of two and a shift that f32 represents exactly.
            numbers.iter().map(|x| (x * 1024.0).round() / 1024.0 * 8.0 + 16.0).collect()
        };
        let plain = |numbers: &[f32]| -> Vec<f32> {
            numbers.iter().map(|x| (x * 1024.0).round() / 1024.0).collect()
        };
        let loss_with = |scores: &[f32], similarities: &[f32]| {
            let view = BatchVectors {
                teacher_scores: Some(scores),
                teacher_similarities: Some(similarities),
                ..batch.view()
            };
            objective.evaluate(&view, 0).unwrap().loss
        };
        let one = loss_with(&plain(&batch.teacher), &plain(&batch.similarities));
        let two = loss_with(&moved(&batch.teacher), &moved(&batch.similarities));
        assert!(close(one, two, 1e-12), "{kind:?}: {one}, {two}");
        let equal = |numbers: &[f32]| vec![3.0; numbers.len()];
        let none = loss_with(&equal(&batch.teacher), &equal(&batch.similarities));
        let zero = loss_with(&vec![0.0; batch.teacher.len()], &vec![0.0; batch.similarities.len()]);
        assert_eq!(none, zero);
    }
}

#[test]
fn df_flops_counts_windows_and_continues() {
    let fixture: Value = serde_json::from_str(FIXTURE).unwrap();
    let fixture = &fixture["document_frequency"];
    for case in fixture["activations"].as_array().unwrap() {
        let case = numbers(case);
        let got = document_frequency::activation(case[2], case[0], case[1]);
        assert!(close(got, case[3], 1e-13), "{case:?}: {got}");
    }
    let start = || objective(&[loss(LossKind::MarginMse)], None, regularizer(&fixture["doc"]));
    let mut whole = start();
    for step in fixture["run"].as_array().unwrap() {
        let batch = Batch::of(&step["batch"]);
        let number = step["step"].as_u64().unwrap();
        // The second objective is restored from the saved state, and an evaluation in between must
        // not change it.
        let state = serde_json::to_string(&whole.state()).unwrap();
        let mut continued = start();
        continued.restore(&serde_json::from_str(&state).unwrap()).unwrap();
        continued.evaluate(&batch.view(), number + 5).unwrap();
        let got = whole.compute(&batch.view(), number).unwrap();
        compare(&format!("step {number}"), &got, &step["expected"]);
        assert_eq!(continued.compute(&batch.view(), number).unwrap(), got);
    }
}

/// The gradients are compared with central differences of the loss in f64, with steps that are
/// exact in f32. The error of the differences is of the order of the third derivative times h²,
/// below 1e-5 here.
#[test]
fn gradients_are_finite_differences() {
    let regularizers = [
        RegularizerKind::Flops,
        RegularizerKind::L1,
        RegularizerKind::ThresholdedFlops { threshold: 4 },
        RegularizerKind::DfFlops { alpha: 0.3, beta: 2.0, interval: 100 },
    ];
    let mut checked = 0;
    for kind in LOSSES {
        for penalty in regularizers {
            for (queries, negatives, temperature) in [(3, 2, 0.6), (2, 1, 1.0)] {
                let mut batch = Batch::random(3, 12, queries, negatives);
                let side = |lambda| Some(RegularizerConfig::scheduled(penalty, lambda, 10.0));
                let loss = LossConfig { weight: 0.7, temperature, ..loss(kind) };
                let objective = objective(&[loss], side(0.4), side(0.9));
                let gradients = objective.evaluate(&batch.view(), 6).unwrap().gradients;
                for (part, gradients) in
                    [gradients.queries, gradients.positives, gradients.negatives].iter().enumerate()
                {
                    for (text, gradients) in gradients.iter().enumerate() {
                        for (place, &gradient) in gradients.iter().enumerate() {
                            let mut at = |shift: f32| {
                                let texts = [
                                    &mut batch.queries,
                                    &mut batch.positives,
                                    &mut batch.negatives,
                                ];
                                let weight = &mut texts[part][text].weights[place];
                                let old = std::mem::replace(weight, *weight + shift);
                                let moved = f64::from(*weight);
                                let loss = objective.evaluate(&batch.view(), 6).unwrap().loss;
                                let texts = [
                                    &mut batch.queries,
                                    &mut batch.positives,
                                    &mut batch.negatives,
                                ];
                                texts[part][text].weights[place] = old;
                                (moved, loss)
                            };
                            let (above, below) = (at(2e-3), at(-2e-3));
                            let slope = (above.1 - below.1) / (above.0 - below.0);
                            assert!(
                                close(f64::from(gradient), slope, 3e-5),
                                "{kind:?}, {penalty:?}, part {part}, text {text}, weight {place}: \
                                 {gradient}, not {slope}"
                            );
                            checked += 1;
                        }
                    }
                }
            }
        }
    }
    assert!(checked > 1000);
}

#[test]
fn threads_do_not_matter() {
    let batch = Batch::random(9, 3000, 13, 3);
    let all: Vec<LossConfig> = LOSSES.into_iter().map(loss).collect();
    let side = Some(RegularizerConfig::scheduled(RegularizerKind::Flops, 0.1, 0.0));
    let objective = objective(&all, side.clone(), side);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| objective.evaluate(&batch.view(), 0).unwrap())
    };
    let one = run(1);
    for threads in [2, 3, 8] {
        assert_eq!(run(threads), one, "{threads} threads");
    }
}

/// The expected values and derivatives are those that the Python library's own classes gave in f64.
#[test]
fn losses_are_the_librarys_on_the_goldens() {
    let Some(golden) = golden() else { return };
    let cases = golden["losses"].as_array().unwrap();
    assert_eq!(cases.len(), 48);
    for case in cases {
        let kind = loss_kind(case["loss"].as_str().unwrap());
        let queries = case["bs"].as_u64().unwrap() as usize;
        let across = kind == LossKind::InBatchNegatives;
        // Positives are (queries, queries) or (queries, 1).
        let split = |positives: &Value, negatives: &Value| {
            let (positives, negatives) = (flat(positives), flat(negatives));
            let (mut own, mut others) = (Vec::new(), Vec::new());
            for query in 0..queries {
                let width = if across { queries } else { 1 };
                let row = &positives[query * width..(query + 1) * width];
                let diagonal = if across { query } else { 0 };
                own.extend([row[diagonal], negatives[query]]);
                if across {
                    let other = |(i, &x): (usize, &f64)| if i == query { 0.0 } else { x };
                    others.extend(row.iter().enumerate().map(other));
                }
            }
            Scores { columns: 2, own, others }
        };
        let scores = split(&case["pos"], &case["neg"]);
        let teachers = flat(&case["teacher_pos"]).into_iter().zip(flat(&case["teacher_neg"]));
        let teacher: Vec<f64> = teachers.flat_map(|(p, n)| [p, n]).collect();
        let numbers = TeacherNumbers { scores: Some(&teacher), similarities: None };
        let mut got = scores.zeros();
        let value = losses::add(&loss(kind), &scores, numbers, &mut got);
        let expected = case["value"].as_f64().unwrap();
        assert!(close(value, expected, 1e-12), "{kind:?} of {queries}: {value}, not {expected}");
        let expected = split(&case["grad_pos"], &case["grad_neg"]);
        let pairs =
            got.own.iter().chain(&got.others).zip(expected.own.iter().chain(&expected.others));
        for (got, expected) in pairs {
            assert!(close(*got, *expected, 1e-12), "{kind:?} of {queries}: {got}, not {expected}");
        }
    }
}

/// The weights of the goldens are f64; rounding them to f32 costs 6e-8 of each.
#[test]
fn regularizers_and_lambda_are_the_librarys_on_the_goldens() {
    let Some(golden) = golden() else { return };
    let pace = Pace::new(&TrainingConfig::default(), 1).unwrap();
    for case in golden["regularizers"].as_array().unwrap() {
        let kind = if case["reg"] == "L1" { RegularizerKind::L1 } else { RegularizerKind::Flops };
        let config = RegularizerConfig::scheduled(kind, 1.0, 0.0);
        let rows: Vec<Vec<f64>> = case["w"].as_array().unwrap().iter().map(numbers).collect();
        let vocab = rows[0].len();
        let text = |row: &Vec<f64>| {
            let terms: Vec<u32> = (0..vocab as u32).filter(|&t| row[t as usize] != 0.0).collect();
            Terms { weights: terms.iter().map(|&t| row[t as usize] as f32).collect(), terms }
        };
        let texts: Vec<Terms> = rows.iter().map(text).collect();
        let mut side = Side::new("doc", &config, &pace).unwrap();
        let got = side.penalties(&[texts.iter().collect()], vocab, 0, 1.0).unwrap();
        let expected = case["value"].as_f64().unwrap();
        assert!(close(got.value, expected, 2e-7), "{kind:?}: {}, not {expected}", got.value);
        for (text, expected) in texts.iter().zip(case["grad"].as_array().unwrap()) {
            let expected = numbers(expected);
            for (&term, &weight) in text.terms.iter().zip(&text.weights) {
                let (got, expected) = (got.slope(0, text, term, weight), expected[term as usize]);
                assert!(close(got, expected, 2e-7), "{kind:?}: {got}, not {expected}");
            }
        }
    }
    let schedule = &golden["lambda_schedule"];
    let config = RegularizerConfig::scheduled(
        RegularizerKind::Flops,
        schedule["lambda_"].as_f64().unwrap(),
        schedule["T"].as_f64().unwrap(),
    );
    let objective = objective(&[loss(LossKind::KlDiv)], None, Some(config));
    for (step, expected) in numbers(&schedule["values"]).into_iter().enumerate() {
        assert_eq!(objective.lambdas(step as u64), (0.0, expected), "step {step}");
    }
}

fn golden() -> Option<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/golden/losses.json");
    match std::fs::read_to_string(path) {
        Ok(text) => Some(serde_json::from_str(&text).unwrap()),
        Err(_) => {
            println!("skipped: {path} is not there");
            None
        }
    }
}

#[test]
fn settings_out_of_range_are_refused() {
    let flops = |lambda, steps| RegularizerConfig::scheduled(RegularizerKind::Flops, lambda, steps);
    let df = |alpha, beta, interval| RegularizerConfig {
        kind: RegularizerKind::DfFlops { alpha, beta, interval },
        ..flops(1.0, 1.0)
    };
    let with =
        |weight, temperature| vec![LossConfig { weight, temperature, ..loss(LossKind::KlDiv) }];
    let good = || with(1.0, 1.0);
    let budget = |target_terms, lambda| RegularizerConfig {
        kind: RegularizerKind::Flops,
        strength: Strength::Budget { target_terms, lambda, steps: None },
    };
    for (losses, doc, expected) in [
        (vec![], None, "training.training_loss: at least one loss is required"),
        ([good(), good()].concat(), None, "training.training_loss: `kldiv` is given twice"),
        (with(f64::NAN, 1.0), None, "training.loss_weights.kldiv: NaN is not"),
        (with(1.0, 0.0), None, "training.temperatures.kldiv: 0 is not a number above 0"),
        (
            vec![LossConfig { teacher_temperature: Some(-1.0), ..loss(LossKind::KlDiv) }],
            None,
            "training.teacher_temperatures.kldiv: -1 is not a number above 0",
        ),
        (
            good(),
            Some(budget(f64::NAN, None)),
            "training.regularizers.doc.target_terms: NaN is not a number of at least 1",
        ),
        (
            good(),
            Some(budget(9.0, Some(0.0))),
            "training.regularizers.doc.lambda_: 0 is not a number above 0",
        ),
        (good(), Some(flops(-0.1, 1.0)), "training.regularizers.doc.lambda_: -0.1 is not"),
        (good(), Some(flops(0.1, f64::INFINITY)), "training.regularizers.doc.T: inf is not"),
        (good(), Some(df(1.0, 1.0, 1)), "training.regularizers.doc.df_alpha: 1 is not between"),
        (good(), Some(df(0.1, 0.0, 1)), "training.regularizers.doc.df_beta: 0 is not"),
        (good(), Some(df(0.1, 1.0, 0)), "training.regularizers.doc.df_interval: 0 is not"),
    ] {
        let error = objective_of(&losses, Regularizers { doc, query: None }).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}

#[test]
fn batches_that_do_not_fit_are_refused() {
    type Spoil = fn(&mut Batch);
    let cases: [(LossKind, Spoil, &str); 8] = [
        (
            LossKind::InBatchKlDiv,
            |batch| batch.similarities.truncate(26),
            "a batch of 3 queries and 9 documents has 26 similarities",
        ),
        (LossKind::KlDiv, |batch| batch.queries.clear(), "a batch without queries"),
        (LossKind::KlDiv, |batch| batch.positives.truncate(1), "a batch of 3 queries has 1"),
        (LossKind::KlDiv, |batch| batch.negatives.truncate(5), "a batch of 3 queries has 3"),
        (LossKind::KlDiv, |batch| batch.teacher.truncate(5), "a batch of 9 documents has 5"),
        (LossKind::KlDiv, |batch| batch.queries[1].weights.clear(), "a vector of"),
        (LossKind::KlDiv, |batch| batch.vocab = 2, "term"),
        (
            LossKind::PairwiseContrastive,
            |batch| {
                batch.negatives.clear();
                batch.teacher.truncate(3);
                batch.similarities.truncate(9);
            },
            "`pairwise_contrastive` needs a negative",
        ),
    ];
    for (kind, spoil, expected) in cases {
        let mut batch = Batch::random(1, 12, 3, 2);
        spoil(&mut batch);
        let error = objective(&[loss(kind)], None, None).compute(&batch.view(), 0).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
    }
    let batch = Batch::random(1, 12, 3, 2);
    let without = BatchVectors { teacher_scores: None, ..batch.view() };
    let error = objective(&[loss(LossKind::KlDiv)], None, None).compute(&without, 0).unwrap_err();
    assert!(error.to_string().starts_with("`kldiv` needs teacher scores"), "{error}");
    let without = BatchVectors { teacher_similarities: None, ..batch.view() };
    let error = objective(&[loss(LossKind::InBatchKlDiv)], None, None).compute(&without, 0);
    let error = error.unwrap_err().to_string();
    assert!(error.starts_with("`in_batch_kldiv` needs the vectors of a teacher"), "{error}");
}

#[test]
fn states_of_other_runs_are_refused() {
    let doc = |kind| {
        let config = RegularizerConfig::scheduled(kind, 1.0, 0.0);
        objective(&[loss(LossKind::KlDiv)], None, Some(config))
    };
    let df = RegularizerKind::DfFlops { alpha: 0.1, beta: 10.0, interval: 3 };
    let batch = Batch::random(1, 12, 3, 2);
    let mut counted = doc(df);
    counted.compute(&batch.view(), 0).unwrap();
    let state = counted.state();
    let mut broken = state.clone();
    broken["doc"]["current"]["terms"][0] = json!(-1);
    for (mut objective, state) in [
        (doc(RegularizerKind::Flops), &state),
        (objective(&[loss(LossKind::KlDiv)], None, None), &state),
        (doc(df), &json!({ "query": null, "doc": null })),
        (doc(df), &broken),
    ] {
        let before = objective.state();
        assert!(matches!(objective.restore(state), Err(TrainError::State(_))), "{state}");
        assert_eq!(objective.state(), before);
    }
    // A state of another vocabulary is noticed only when it is used.
    let mut other = doc(df);
    other.restore(&state).unwrap();
    let wide = Batch::random(1, 13, 3, 2);
    assert!(matches!(other.compute(&wide.view(), 1), Err(TrainError::State(_))));
}
