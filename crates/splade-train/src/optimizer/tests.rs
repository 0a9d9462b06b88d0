//! The optimizers are compared with torch.optim (`scripts/reference/objectives.py`), and with
//! themselves.

use serde_json::Value;

use super::*;
use crate::engine::{NamedTensor, ParameterMut};

/// Parameters without a model.
#[derive(Debug, Clone, PartialEq)]
struct Bare {
    values: Vec<Vec<f32>>,
    gradients: Vec<Vec<f32>>,
}

impl Bare {
    fn new(values: Vec<Vec<f32>>) -> Self {
        let gradients = values.iter().map(|values| vec![0.0; values.len()]).collect();
        Self { values, gradients }
    }
}

impl Parameters for Bare {
    fn parameters(&mut self, visit: &mut dyn FnMut(ParameterMut<'_>)) {
        for (values, gradients) in self.values.iter_mut().zip(&mut self.gradients) {
            visit(ParameterMut { name: "", panels: None, values, gradients });
        }
    }

    fn to_tensors(&self, _: usize, _: &[f32]) -> Vec<NamedTensor> {
        unreachable!()
    }

    fn read_tensors(
        &self,
        _: usize,
        _: &dyn Fn(&str, &[usize]) -> Result<Vec<f32>, TrainError>,
    ) -> Result<Vec<f32>, TrainError> {
        unreachable!()
    }
}

/// A matrix that is stored in panels of a given width.
struct InPanels {
    width: usize,
    length: usize,
    numbers: Vec<f32>,
}

impl Parameters for InPanels {
    fn parameters(&mut self, visit: &mut dyn FnMut(ParameterMut<'_>)) {
        let mut values = self.numbers.clone();
        let panels = Some((self.width, self.length));
        let (values, gradients) = (&mut values[..], &mut self.numbers[..]);
        visit(ParameterMut { name: "", panels, values, gradients });
    }

    fn to_tensors(&self, _: usize, _: &[f32]) -> Vec<NamedTensor> {
        unreachable!()
    }

    fn read_tensors(
        &self,
        _: usize,
        _: &dyn Fn(&str, &[usize]) -> Result<Vec<f32>, TrainError>,
    ) -> Result<Vec<f32>, TrainError> {
        unreachable!()
    }
}

/// The norm of gradients is the same to the bit for the panel width of every instruction set.
#[test]
fn norms_do_not_depend_on_panels() {
    let (rows, length) = (101, 37);
    let matrix = noise(rows * length, 7);
    let norm = |width: usize| {
        let mut numbers = vec![0.0; rows.next_multiple_of(width) * length];
        for (i, x) in matrix.iter().enumerate() {
            let (row, column) = (i / length, i % length);
            numbers[(row / width * length + column) * width + row % width] = *x;
        }
        gradient_norm(&mut [&mut InPanels { width, length, numbers }])
    };
    let want = matrix.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
    assert!((norm(1) - want).abs() < 1e-12 * want);
    for width in [8, 12, 16, 48] {
        assert_eq!(norm(width).to_bits(), norm(1).to_bits(), "{width}");
    }
}

const KINDS: [Optimizer; 4] =
    [Optimizer::AdamW, Optimizer::Sgd, Optimizer::Adagrad, Optimizer::RmsProp];

fn options(learning_rate: f64) -> UpdateOptions {
    UpdateOptions {
        learning_rate,
        engine_rates: Vec::new(),
        undecayed: &[],
        weight_decay: 0.01,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
    }
}

fn tensors(value: &Value) -> Vec<Vec<f32>> {
    let number = |x: &Value| x.as_f64().unwrap() as f32;
    let tensor = |tensor: &Value| tensor.as_array().unwrap().iter().map(number).collect();
    value.as_array().unwrap().iter().map(tensor).collect()
}

/// Returns pseudo-random numbers around 0.
fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// A step is some ten f32 operations, of which PyTorch fuses a few. The tolerance is 3 units in the
/// last place of the larger of the number and its total change so far.
#[test]
fn steps_are_pytorchs() {
    let fixture: Value =
        serde_json::from_str(include_str!("../../tests/fixtures/objective.json")).unwrap();
    let cases = fixture["optimizers"].as_array().unwrap();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let number = |name: &str| case[name].as_f64().unwrap_or(f64::NAN);
        let kind = match case["kind"].as_str().unwrap() {
            "adamw" => Optimizer::AdamW,
            "sgd" => Optimizer::Sgd,
            "adagrad" => Optimizer::Adagrad,
            _ => Optimizer::RmsProp,
        };
        let mut state = OptimizerState::new(kind);
        // The two tensors are tested in one engine and in two engines.
        let start = tensors(&case["start"]);
        let mut one = Bare::new(start.clone());
        let mut two = [Bare::new(start[..1].to_vec()), Bare::new(start[1..].to_vec())];
        let mut state_of_two = state.clone();
        for (step, expected) in case["steps"].as_array().unwrap().iter().enumerate() {
            let options = UpdateOptions {
                weight_decay: number("weight_decay"),
                beta1: number("beta1"),
                beta2: number("beta2"),
                epsilon: number("epsilon"),
                ..options(expected["rate"].as_f64().unwrap())
            };
            one.gradients = tensors(&expected["gradients"]);
            for (engine, gradients) in two.iter_mut().zip(&one.gradients) {
                engine.gradients = vec![gradients.clone()];
            }
            let norm = gradient_norm(&mut [&mut one]);
            let wanted = expected["norm"].as_f64().unwrap();
            assert!((norm - wanted).abs() < 2e-7 * wanted, "{kind:?}, {step}: {norm}, {wanted}");
            let scale = clip_coefficient(norm, 1.0);
            state.update(&mut [&mut one], &options, scale);
            let [first, second] = &mut two;
            assert_eq!(gradient_norm(&mut [first, second]), norm);
            state_of_two.update(&mut [first, second], &options, scale);

            let wanted = tensors(&expected["values"]);
            for (got, wanted) in one.values.iter().flatten().zip(wanted.iter().flatten()) {
                let near = (got - wanted).abs() <= 4e-7 * wanted.abs().max(0.5);
                assert!(near, "{kind:?}, step {step}: {got}, not {wanted}");
            }
            assert!(one.gradients.iter().flatten().all(|&g| g == 0.0));
            assert_eq!([&two[0].values[..], &two[1].values[..]].concat(), one.values);
        }
        assert_eq!(state.step, 6);
        let names = OptimizerState::moment_names(kind);
        assert_eq!(names.len(), case["moments"].as_object().unwrap().len());
        for (moment, name) in names.iter().enumerate() {
            let wanted = tensors(&case["moments"][name]);
            for (parameter, wanted) in wanted.iter().enumerate() {
                let got = &state.moments[0][parameter][moment];
                assert_eq!(got, &state_of_two.moments[parameter][0][moment]);
                assert_eq!(got.len(), wanted.len());
                for (got, wanted) in got.iter().zip(wanted) {
                    let near = (got - wanted).abs() <= 1e-6 * wanted.abs();
                    assert!(near, "{kind:?}, {name}: {got}, not {wanted}");
                }
            }
        }
    }
}

#[test]
fn threads_do_not_matter() {
    // The sizes exceed a chunk, and are not multiples of a chunk or of a lane.
    let sizes = [2 * CHUNK + 13, 5, CHUNK, 0];
    for kind in KINDS {
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut engine = Bare::new(sizes.iter().map(|&n| noise(n, 1)).collect());
                let mut state = OptimizerState::new(kind);
                let mut norms = Vec::new();
                for step in 0..3 {
                    engine.gradients = sizes.iter().map(|&n| noise(n, 7 + step)).collect();
                    norms.push(gradient_norm(&mut [&mut engine]));
                    state.update(&mut [&mut engine], &options(1e-3), 0.5);
                }
                (engine, state, norms)
            })
        };
        let one = run(1);
        let naive: f64 = (sizes.iter().flat_map(|&n| noise(n, 9)))
            .map(|g| f64::from(g) * f64::from(g))
            .sum::<f64>()
            .sqrt();
        assert!((one.2[2] - naive).abs() < 1e-12 * naive);
        for threads in [2, 5] {
            assert!(run(threads) == one, "{kind:?} on {threads} threads");
        }
    }
}

#[test]
fn an_engine_may_have_a_rate_of_its_own() {
    let start = Bare::new(vec![noise(40, 3)]);
    for kind in KINDS {
        let mut engines = [start.clone(), start.clone()];
        let mut alone = start.clone();
        let [first, second] = &mut engines;
        for engine in [&mut *first, &mut *second, &mut alone] {
            engine.gradients = vec![noise(40, 4)];
        }
        let both = UpdateOptions { engine_rates: vec![1.0, 20.0], ..options(1e-3) };
        OptimizerState::new(kind).update(&mut [first, second], &both, 1.0);
        OptimizerState::new(kind).update(&mut [&mut alone], &options(1e-3 * 20.0), 1.0);
        assert_eq!(engines[1], alone);
        assert_ne!(engines[0], alone);
    }
}

#[test]
fn continues_from_its_moments() {
    for kind in KINDS {
        let mut engine = Bare::new(vec![noise(40, 3), noise(7, 4)]);
        let mut state = OptimizerState::new(kind);
        let untouched = OptimizerState::restored(kind, 0, Vec::new(), &mut [&mut engine]);
        assert_eq!(untouched.unwrap(), state);
        engine.gradients = vec![noise(40, 5), noise(7, 6)];
        state.update(&mut [&mut engine], &options(1e-3), 1.0);
        let moments = state.moments.clone();
        let again = OptimizerState::restored(kind, 1, moments.clone(), &mut [&mut engine]);
        assert_eq!(again.unwrap(), state);

        let mut shorter = moments.clone();
        shorter[0].pop();
        let mut wrong = vec![Vec::new(), shorter, [moments.clone(), moments.clone()].concat()];
        if !OptimizerState::moment_names(kind).is_empty() {
            let mut fewer = moments.clone();
            fewer[0][1].pop();
            let mut cut = moments;
            cut[0][0][0].pop();
            wrong.extend([fewer, cut]);
        }
        for moments in wrong {
            let restored = OptimizerState::restored(kind, 1, moments, &mut [&mut engine]);
            assert!(matches!(restored, Err(TrainError::State(_))), "{kind:?}");
        }
    }
}

#[test]
fn clipping_only_shortens() {
    assert_eq!(clip_coefficient(0.5, 1.0), 1.0);
    assert_eq!(clip_coefficient(4.0, 1.0), (1.0 / (4.0 + 1e-6)) as f32);
    assert_eq!(clip_coefficient(4.0, 0.0), 1.0);
    assert_eq!(clip_coefficient(0.0, 1.0), 1.0);
    assert!(clip_coefficient(f64::NAN, 1.0).is_nan());
}

/// The moments of PyTorch stay at a few times the smallest subnormal number for ever.
#[test]
fn moments_end_at_zero() {
    for (kind, steps) in [(Optimizer::AdamW, 900), (Optimizer::RmsProp, 9000)] {
        let mut engine = Bare::new(vec![vec![1.0; 6]]);
        let mut state = OptimizerState::new(kind);
        engine.gradients = vec![noise(6, 5)];
        let options = UpdateOptions { weight_decay: 0.0, ..options(0.0) };
        for _ in 0..steps {
            state.update(&mut [&mut engine], &options, 1.0);
            let mut all = state.moments[0][0].iter().flatten();
            assert!(all.all(|m| !m.is_subnormal()), "{kind:?}");
        }
        assert!(state.moments[0][0][0].iter().all(|&m| m == 0.0), "{kind:?}");
        engine.gradients[0][0] = f32::NAN;
        state.update(&mut [&mut engine], &options, 1.0);
        assert!(state.moments[0][0][0][0].is_nan(), "{kind:?}");
    }
}

/// The bits of updates are the same on every CPU; the constant comes from one of them.
#[test]
fn updates_have_the_bits_of_other_machines() {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for kind in KINDS {
        let mut engine = Bare::new(vec![noise(1003, 1), noise(17, 2)]);
        let mut state = OptimizerState::new(kind);
        for step in 0..5 {
            engine.gradients = vec![noise(1003, 3 + step), noise(17, 30 + step)];
            let scale = clip_coefficient(gradient_norm(&mut [&mut engine]), 0.7);
            state.update(&mut [&mut engine], &options(1e-3), scale);
        }
        let moments = state.moments.iter().flatten().flatten().flatten();
        for byte in engine.values.iter().flatten().chain(moments).flat_map(|x| x.to_le_bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    assert_eq!(hash, 0x8683_7e4c_2212_a2ce, "0x{hash:016x}");
}
