use super::engine::Bag;
use super::*;
use crate::engine::Engine;
use crate::run::Plan;
use crate::tasks::splade::batch::TokenBatch;
use crate::tasks::splade::step::Stepper;

/// Returns batches of the toy data.
fn batches(config: &Config, count: u64) -> Vec<TokenBatch> {
    let data = TrainingData::open(&config.data, 42).expect("data");
    let plan = Plan::new(&config.training, data.len()).expect("a plan");
    let batch = |step| {
        let planned = plan.batches_of(step).remove(0);
        let samples: Vec<_> =
            planned.samples.map(|position| data.sample(planned.epoch, position)).collect();
        tokenization().batch(&data, &samples, None).expect("a batch")
    };
    (0..count).map(batch).collect()
}

fn gradients(towers: &mut Towers) -> Vec<f32> {
    let mut all = Vec::new();
    for engine in towers.trained(false) {
        engine.parameters(&mut |parameter| all.extend_from_slice(parameter.gradients));
    }
    all
}

fn parameters(towers: &mut Towers) -> Vec<f32> {
    let mut all: Vec<&mut dyn Engine> = vec![towers.document.as_mut()];
    all.extend(towers.query.as_mut().map(QueryTower::engine_mut));
    let mut values = Vec::new();
    for engine in all {
        engine.parameters(&mut |parameter| values.extend_from_slice(parameter.values));
    }
    values
}

fn stepper(config: &Config, queries: Queries) -> Stepper {
    Stepper::new(towers(queries), config, 10).expect("a stepper")
}

/// The gradients of the test engine are compared with central differences of the loss.
#[test]
fn gradients_are_those_of_the_loss() {
    let config = config(Path::new("none"));
    let batch = &batches(&config, 1)[0];
    for queries in Queries::ALL {
        let mut stepper = stepper(&config, queries);
        stepper.step = 6;
        stepper.add_gradients(batch, 0, 1.0).expect("a loss");
        let analytic = gradients(stepper.towers_mut());
        let loss = |stepper: &mut Stepper, at: usize, by: f32| {
            let mut left = at;
            let mut change = |engine: &mut dyn Engine| {
                engine.parameters(&mut |parameter| match parameter.values.get_mut(left) {
                    Some(value) => {
                        *value += by;
                        left = usize::MAX;
                    }
                    None if left != usize::MAX => left -= parameter.values.len(),
                    None => {}
                });
            };
            stepper.towers_mut().trained(false).into_iter().for_each(&mut change);
            stepper.add_gradients(batch, 0, 1.0).expect("a loss").0.loss
        };
        let mut checked = 0;
        for at in (0..analytic.len()).step_by(37) {
            let step = 1e-2;
            let above = loss(&mut stepper, at, step);
            let below = loss(&mut stepper, at, -2.0 * step);
            loss(&mut stepper, at, step);
            let slope = (above - below) / (2.0 * f64::from(step));
            let gradient = f64::from(analytic[at]);
            // If a logit crosses zero between the two points, the loss has a corner there.
            let tolerance = 1e-3 + 0.02 * gradient.abs();
            if (slope - gradient).abs() <= tolerance {
                checked += usize::from(gradient.abs() > 1e-3);
            } else {
                assert!((slope - gradient).abs() < 0.05, "{at}: {slope} {gradient}");
            }
        }
        assert!(checked > 10, "{checked} gradients of a size that says something");
    }
}

/// GradCache gives the same vectors, and the same gradients up to the order of additions, in less
/// memory.
#[test]
fn cached_gradients_are_the_direct_ones() {
    let mut config = config(Path::new("none"));
    let batch = &batches(&config, 1)[0];
    assert!(batch.tokens() > 300);
    for queries in Queries::ALL {
        let mut direct = stepper(&config, queries);
        let (want, vectors) = direct.add_gradients(batch, 0, 1.0).expect("a loss");
        for tokens in [1, 60, 200] {
            config.training.gradient_cache_tokens = Some(tokens);
            let mut cached = stepper(&config, queries);
            let (value, found) = cached.add_gradients(batch, 0, 1.0).expect("a loss");
            assert_eq!((value.loss, &found), (want.loss, &vectors));
            let (a, b) = (gradients(direct.towers_mut()), gradients(cached.towers_mut()));
            let norm = a.iter().map(|x| x * x).sum::<f32>().sqrt();
            let far = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            // Some hundred additions in 32 bits are done in two orders, and each rounds by 6e-8 of
            // the sum.
            assert!(far < 3e-6 * norm, "{queries:?} {tokens}: {far} of {norm}");
        }
        config.training.gradient_cache_tokens = None;
    }
}

#[test]
fn a_chunk_holds_no_more_tokens_than_allowed() {
    let config = config(Path::new("none"));
    let batch = &batches(&config, 1)[0];
    let mut towers = towers(Queries::Shared);
    let vocab = towers.vocab();
    let mut bag = Bag::new(vocab, 1, 0.1);
    let texts: Vec<&[u32]> = batch.texts().collect();
    bag.forward(&texts, &vec![0; texts.len()]);
    assert_eq!(bag.most_kept, batch.tokens());
    let noise = |ordinal| ordinal as u64;
    let whole = towers.forward(batch, &noise, None);
    assert_eq!(towers.forward(batch, &noise, Some(70)), whole);
    assert_ne!(towers.forward(batch, &|ordinal| ordinal as u64 + 1, None), whole);
    assert_ne!(towers.encode(batch), whole);
}

/// Accumulation averages: two batches in a step have the mean of their gradients.
#[test]
fn batches_of_a_step_are_averaged() {
    let config = config(Path::new("none"));
    let batches = batches(&config, 2);
    let mut apart = stepper(&config, Queries::Shared);
    let (first, _) = apart.add_gradients(&batches[0], 0, 0.5).expect("a loss");
    let (second, _) = apart.add_gradients(&batches[1], 1, 0.5).expect("a loss");
    let sum = gradients(apart.towers_mut());
    let norm = sum.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    let report = stepper(&config, Queries::Shared).step(&batches).expect("a step");
    assert!((report.gradient_norm - norm).abs() < 1e-9 * norm);
    assert_eq!(report.loss, (first.loss + second.loss) / 2.0);
    assert_eq!(report.learning_rate, 0.0);
    assert_eq!(report.batches.len(), 2);
    assert_eq!(report.lambda_q, 0.0);
}

#[test]
fn a_frozen_document_encoder_stays() {
    let mut config = config(Path::new("none"));
    config.training.warmup_steps = 0;
    let batches = batches(&config, 1);
    let mut towers = towers(Queries::Own);
    towers.freeze_document = true;
    let half = parameters(&mut towers).len() / 2;
    let before = parameters(&mut towers);
    let mut stepper = Stepper::new(towers, &config, 10).expect("a stepper");
    stepper.step(&batches).expect("a step");
    let after = parameters(stepper.towers_mut());
    assert_eq!(before[..half], after[..half]);
    assert_ne!(before[half..], after[half..]);
    let mut towers = super::towers(Queries::Shared);
    towers.freeze_document = true;
    let message = Stepper::new(towers, &config, 10).expect_err("nothing to train").to_string();
    assert!(message.contains("nothing to train"), "{message}");
}

/// A frozen document encoder has no dropout or, as in Python, the usual dropout.
#[test]
fn dropout_of_a_frozen_document_encoder_is_a_choice() {
    let config = config(Path::new("none"));
    let batch = &batches(&config, 1)[0];
    for dropout in [false, true] {
        let mut towers = towers(Queries::Table);
        (towers.freeze_document, towers.frozen_dropout) = (true, dropout);
        let noisy = towers.forward(batch, &|ordinal| ordinal as u64, None);
        assert_eq!(noisy.positives != towers.encode(batch).positives, dropout);
        let mut stepper = Stepper::new(towers, &config, 10).expect("a stepper");
        stepper.add_gradients(batch, 0, 1.0).expect("a loss");
        let mut document = 0.0;
        stepper.towers_mut().document.parameters(&mut |parameter| {
            document += parameter.gradients.iter().map(|x| x.abs()).sum::<f32>();
        });
        assert_eq!(document, 0.0);
    }
}

/// AdamW's first step equals the learning rate, unless the gradient is small compared with epsilon.
#[test]
fn a_table_has_a_learning_rate_of_its_own_or_stays() {
    for (freeze, learning_rate) in [(true, None), (false, None), (false, Some(0.03))] {
        let mut config = config(Path::new("none"));
        config.model.query_encoder = QueryEncoder::Table(crate::config::QueryTable {
            freeze,
            learning_rate,
            ..Default::default()
        });
        (config.training.warmup_steps, config.training.weight_decay) = (0, 0.0);
        let batches = batches(&config, 1);
        let mut stepper = stepper(&config, Queries::Table);
        let table = |stepper: &mut Stepper| -> Vec<f32> {
            let mut values = Vec::new();
            let table = stepper.towers_mut().query.as_mut().expect("a table").engine_mut();
            table.parameters(&mut |parameter| values.extend_from_slice(parameter.values));
            values
        };
        let before = table(&mut stepper);
        stepper.step(&batches).expect("a step");
        let after = table(&mut stepper);
        let moved = before.iter().zip(&after).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let want = if freeze { 0.0 } else { learning_rate.unwrap_or(0.01) as f32 };
        assert!((moved - want).abs() < 1e-5, "{freeze} {learning_rate:?}: {moved}");
    }
}

/// A text without tokens has no terms, and the encoder never sees it.
#[test]
fn empty_texts_pass_by() {
    let config = config(Path::new("none"));
    let mut batch = batches(&config, 1).remove(0);
    batch.queries[2].clear();
    batch.negatives[7].clear();
    for tokens in [None, Some(1)] {
        let mut stepper = stepper(&config, Queries::Shared);
        let vectors = stepper.towers_mut().forward(&batch, &|i| i as u64, tokens);
        assert!(vectors.queries[2].terms.is_empty() && vectors.negatives[7].terms.is_empty());
        assert!(!vectors.queries[1].terms.is_empty());
        stepper.step(std::slice::from_ref(&batch)).expect("a step");
        assert_eq!(stepper.towers().encode(&batch).queries[2].terms.len(), 0);
    }
}

#[test]
fn a_loss_that_is_not_finite_names_the_step() {
    let config = config(Path::new("none"));
    let batches = batches(&config, 1);
    let mut stepper = stepper(&config, Queries::Shared);
    stepper.step(&batches).expect("a step");
    stepper.towers_mut().document.parameters(&mut |parameter| {
        if parameter.name == "decoder.bias" {
            parameter.values.fill(f32::INFINITY);
        }
    });
    let message = stepper.step(&batches).expect_err("not finite").to_string();
    assert!(message.starts_with("step 1: the loss is"), "{message}");
}
