//! Reads and writes the parameters and the optimizer's moments of a checkpoint.

use std::path::Path;

use splade_model::weights::{Weights, WeightsWriter};

use crate::config::Optimizer;
use crate::engine::Parameters;
use crate::error::TrainError;
use crate::optimizer::OptimizerState;

use super::tensors::TensorFile;

/// Writes every moment of every parameter of the named engines.
pub(crate) fn write_moments(
    path: &Path,
    engines: &[(&str, &dyn Parameters)],
    optimizer: &OptimizerState,
) -> Result<(), TrainError> {
    let names = OptimizerState::moment_names(optimizer.kind);
    // The order of writing is encoder, parameter, moment, and then the tensors of each moment.
    let mut moments = Vec::new();
    for ((side, engine), parameters) in engines.iter().zip(&optimizer.moments) {
        for (index, of_parameter) in parameters.iter().enumerate() {
            for (name, moment) in names.iter().zip(of_parameter) {
                moments.push((format!("{side}/{name}"), *engine, index, moment));
            }
        }
    }
    let mut announced = Vec::new();
    for (prefix, engine, index, moment) in &moments {
        for tensor in engine.to_tensors(*index, moment) {
            announced.push((format!("{prefix}/{}", tensor.name), tensor.shape));
        }
    }
    let mut writer = WeightsWriter::create(path, &announced)?;
    for (_, engine, index, moment) in &moments {
        for tensor in engine.to_tensors(*index, moment) {
            writer.write(&tensor.values)?;
        }
    }
    Ok(writer.finish()?)
}

/// Reads every moment of every parameter of engines whose names are `sides`.
pub(crate) fn read_moments(
    path: &Path,
    sides: &[&str],
    engines: &mut [&mut dyn Parameters],
    kind: Optimizer,
    updates: u64,
) -> Result<OptimizerState, TrainError> {
    let file = TensorFile::open(path)?;
    let names = OptimizerState::moment_names(kind);
    let mut all = Vec::new();
    for (side, engine) in sides.iter().zip(engines.iter_mut()) {
        let mut parameters = Vec::new();
        for index in 0..count(*engine) {
            let moments = names.iter().map(|name| {
                engine.read_tensors(index, &|tensor, shape| {
                    file.read(&format!("{side}/{name}/{tensor}"), shape)
                })
            });
            parameters.push(moments.collect::<Result<Vec<_>, _>>()?);
        }
        all.push(parameters);
    }
    OptimizerState::restored(kind, updates, all, engines)
}

/// Sets the parameters of an engine to those of a model folder.
pub(crate) fn load<P: Parameters + ?Sized>(
    folder: &Path,
    engine: &mut P,
) -> Result<(), TrainError> {
    let weights = Weights::open(folder)?;
    let tensor = |name: &str, shape: &[usize]| {
        let bad = |message: String| TrainError::checkpoint(folder, message);
        match weights.shape(name) {
            Some(found) if found == shape => Ok(weights.read_f32(name)?),
            Some(found) => Err(bad(format!("{name} has the shape {found:?}, expected {shape:?}"))),
            None => Err(bad(format!("the tensor {name} is missing"))),
        }
    };
    let parameters = (0..count(engine)).map(|index| engine.read_tensors(index, &tensor));
    let parameters = parameters.collect::<Result<Vec<_>, _>>()?;
    let mut parameters = parameters.into_iter();
    engine.parameters(&mut |parameter| {
        let values =
            parameters.next().expect("the engine has more parameters than before: this is a bug");
        parameter.values.copy_from_slice(&values);
    });
    Ok(())
}

fn count<P: Parameters + ?Sized>(engine: &mut P) -> usize {
    let mut count = 0;
    engine.parameters(&mut |_| count += 1);
    count
}
