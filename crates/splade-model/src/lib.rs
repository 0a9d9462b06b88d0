//! SPLADE models from Hugging Face folders: texts in, sparse vectors out.

mod arch;
mod config;
mod error;
mod loader;
mod weights;

pub use config::*;
pub use error::ModelError;
pub use weights::Weights;
/// draft
pub fn draft(
    dir: &std::path::Path,
    all: &[Vec<u32>],
    isa: splade_nn::Isa,
    precision: splade_nn::Precision,
    pooling: splade_nn::Pooling,
) -> Result<Vec<Vec<splade_nn::PooledTerm>>, ModelError> {
    let config = ArchitectureConfig::open(dir)?;
    let m = arch::MaskedLm::load(dir, &config, isa, precision)?;
    let mut ws = arch::Workspace::default();
    let mut out = vec![];
    for ids in all {
        let offsets = [0, ids.len()];
        let h = m.forward(&arch::PackedTexts { ids, offsets: &offsets }, &mut ws, false);
        out.extend(splade_nn::splade_head(
            &m.decoder.output,
            h,
            &offsets,
            pooling,
            splade_nn::Saturation::Log1pRelu,
            false,
        ));
    }
    Ok(out)
}
