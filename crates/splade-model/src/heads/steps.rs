//! Steps that a head applies to rows: projections (`Dense` in sentence-transformers and PyLate) and
//! normalisation.

use std::path::PathBuf;

use splade_io::ContentHasher;
use splade_nn::{Activation, Isa, Linear, Precision};
use splade_text::ModelFiles;

use crate::error::ModelError;
use crate::loader::Loader;
use crate::weights::Weights;

/// A step that a head applies to every row, as the folder describes it.
///
/// ```
/// use splade_model::folder::{Method, Step};
/// use splade_model::{HeadKind, ModelFiles, ModelFolder};
///
/// # let base = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
/// # let mut files = Vec::new();
/// # for (folder, below) in [("reference/bert", ""), ("heads/pylate", ""), ("heads/pylate/1_Dense", "1_Dense/")] {
/// #     for entry in std::fs::read_dir(base.join(folder))?.flatten().filter(|entry| entry.path().is_file()) {
/// #         files.push((format!("{below}{}", entry.file_name().to_string_lossy()), std::fs::read(entry.path())?));
/// #     }
/// # }
/// // A model of PyLate, here in memory.
/// let files = ModelFiles::memory("pylate", files);
/// let folder = ModelFolder::with_head(&files, HeadKind::MultiVector)?;
/// let Method::LateInteraction(head) = folder.document.method else { panic!("another head") };
/// assert_eq!(head.steps.last(), Some(&Step::Normalize));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A linear layer.
    Project(Projection),
    /// Scales a row to unit length.
    Normalize,
}

/// A linear layer with an activation: `activation(x · weightᵀ + bias)`.
///
/// ```
/// use splade_model::folder::{Method, Step};
/// use splade_model::{HeadKind, ModelFiles, ModelFolder};
///
/// # let base = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
/// # let mut files = Vec::new();
/// # for (folder, below) in [("reference/bert", ""), ("heads/pylate", ""), ("heads/pylate/1_Dense", "1_Dense/")] {
/// #     for entry in std::fs::read_dir(base.join(folder))?.flatten().filter(|entry| entry.path().is_file()) {
/// #         files.push((format!("{below}{}", entry.file_name().to_string_lossy()), std::fs::read(entry.path())?));
/// #     }
/// # }
/// // A model of PyLate, here in memory.
/// let files = ModelFiles::memory("pylate", files);
/// let folder = ModelFolder::with_head(&files, HeadKind::MultiVector)?;
/// let Method::LateInteraction(head) = folder.document.method else { panic!("another head") };
/// let Step::Project(projection) = &head.steps[0] else { panic!("no projection") };
/// assert!(!projection.bias && projection.outputs.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Projection {
    /// The place of the weights.
    pub file: ProjectionFile,
    /// The width of the input, or `None` if the config does not tell it.
    pub inputs: Option<usize>,
    /// The width of the output, or `None` if the weights tell it.
    pub outputs: Option<usize>,
    /// Whether the layer has a bias.
    pub bias: bool,
    /// The activation after the layer.
    pub activation: Activation,
    /// Whether the input is added to the output, through a linear layer of its own if the widths
    /// differ.
    pub residual: bool,
}

/// The place of a projection's weights.
///
/// ```
/// use splade_model::folder::{Method, ProjectionFile, Step};
/// use splade_model::{HeadKind, ModelFiles, ModelFolder};
///
/// # let base = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
/// # let mut files = Vec::new();
/// # for (folder, below) in [("reference/bert", ""), ("heads/pylate", ""), ("heads/pylate/1_Dense", "1_Dense/")] {
/// #     for entry in std::fs::read_dir(base.join(folder))?.flatten().filter(|entry| entry.path().is_file()) {
/// #         files.push((format!("{below}{}", entry.file_name().to_string_lossy()), std::fs::read(entry.path())?));
/// #     }
/// # }
/// // A model of PyLate, here in memory.
/// let files = ModelFiles::memory("pylate", files);
/// let folder = ModelFolder::with_head(&files, HeadKind::MultiVector)?;
/// let Method::LateInteraction(head) = folder.document.method else { panic!("another head") };
/// let Step::Project(projection) = &head.steps[0] else { panic!("no projection") };
/// let folder = ProjectionFile::Folder("pylate/1_Dense".into());
/// assert_eq!(projection.file, folder);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProjectionFile {
    /// The tensors `linear.weight` and `linear.bias` of the weights in this folder.
    Folder(PathBuf),
    /// The tensors `weight` and `bias` in this file of `torch.save`.
    Torch(PathBuf),
}

/// Steps with their weights.
#[derive(Debug)]
pub(crate) struct LoadedSteps {
    steps: Vec<LoadedStep>,
}

#[derive(Debug)]
enum LoadedStep {
    Project(Box<LoadedProjection>),
    Normalize,
}

#[derive(Debug)]
struct LoadedProjection {
    linear: Linear,
    activation: Activation,
    residual: Residual,
}

/// What a projection adds to its output.
#[derive(Debug)]
enum Residual {
    None,
    /// The input itself.
    Input,
    /// The input through a linear layer.
    Projected(Linear),
}

impl ProjectionFile {
    fn open(&self, files: &ModelFiles) -> Result<(Weights, &'static str), ModelError> {
        match self {
            Self::Folder(dir) => Ok((Weights::from_files(&files.within(dir))?, "linear")),
            Self::Torch(path) => Ok((Weights::from_torch_file(files, path)?, "")),
        }
    }
}

impl Projection {
    /// Returns the width of the output, which the shape of the weights tells if the config does not.
    fn width(&self, weights: &Weights, name: &str) -> usize {
        let told = || weights.shape(name).and_then(|shape| shape.first().copied());
        self.outputs.or_else(told).unwrap_or(1)
    }

    fn load(
        &self,
        files: &ModelFiles,
        inputs: usize,
        isa: Isa,
        precision: Precision,
    ) -> Result<LoadedProjection, ModelError> {
        let (weights, prefix) = self.file.open(files)?;
        let name = |part: &str| match prefix {
            "" => part.to_owned(),
            prefix => format!("{prefix}.{part}"),
        };
        let outputs = self.width(&weights, &name("weight"));
        let loader = Loader::new(&weights, isa, precision);
        let linear = Linear {
            weight: loader.matrix(&name("weight"), outputs, inputs),
            bias: self.bias.then(|| loader.vector(&name("bias"), outputs)),
        };
        let residual = match (self.residual, outputs == inputs) {
            (false, _) => Residual::None,
            (true, true) => Residual::Input,
            (true, false) => Residual::Projected(loader.linear("residual", outputs, inputs, false)),
        };
        loader.finish()?;
        Ok(LoadedProjection { linear, activation: self.activation, residual })
    }
}

impl LoadedSteps {
    /// Loads the weights of steps whose first input has `width` numbers. The widths of neighbouring
    /// steps are checked.
    pub(crate) fn load(
        files: &ModelFiles,
        steps: &[Step],
        isa: Isa,
        precision: Precision,
        mut width: usize,
    ) -> Result<Self, ModelError> {
        let mut loaded = Vec::new();
        for step in steps {
            loaded.push(match step {
                Step::Normalize => LoadedStep::Normalize,
                Step::Project(projection) => {
                    if let Some(inputs) = projection.inputs.filter(|inputs| *inputs != width) {
                        let (ProjectionFile::Folder(path) | ProjectionFile::Torch(path)) =
                            &projection.file;
                        return Err(ModelError::Config {
                            path: path.clone(),
                            problem: format!(
                                "the projection takes rows of {inputs} numbers, but the part before \
                                 it gives rows of {width}"
                            )
                            .into(),
                        });
                    }
                    let projection = projection.load(files, width, isa, precision)?;
                    width = projection.linear.weight.outputs();
                    LoadedStep::Project(Box::new(projection))
                }
            });
        }
        Ok(Self { steps: loaded })
    }

    /// Returns the width of the last output; `width` is that of the first input.
    pub(crate) fn width(&self, width: usize) -> usize {
        let projected = self.steps.iter().rev().find_map(|step| match step {
            LoadedStep::Project(projection) => Some(projection.linear.weight.outputs()),
            LoadedStep::Normalize => None,
        });
        projected.unwrap_or(width)
    }

    /// Applies all steps to rows of `width` numbers.
    pub(crate) fn apply(&self, mut rows: Vec<f32>, mut width: usize, parallel: bool) -> Vec<f32> {
        for step in &self.steps {
            match step {
                LoadedStep::Normalize => rows.chunks_exact_mut(width.max(1)).for_each(normalize),
                LoadedStep::Project(projection) => {
                    let LoadedProjection { linear, activation, residual } = &**projection;
                    let outputs = linear.weight.outputs();
                    let count = rows.len() / width.max(1);
                    let mut out = vec![0.0; count * outputs];
                    linear.forward(&rows, *activation, &mut out, parallel);
                    let mut add = |rows: &[f32]| {
                        out.iter_mut().zip(rows).for_each(|(x, y)| *x += y);
                    };
                    match residual {
                        Residual::None => {}
                        Residual::Input => add(&rows),
                        Residual::Projected(linear) => {
                            let mut projected = vec![0.0; count * outputs];
                            linear.forward(&rows, Activation::Identity, &mut projected, parallel);
                            add(&projected);
                        }
                    }
                    (rows, width) = (out, outputs);
                }
            }
        }
        rows
    }

    /// Returns the size of the weights in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let bytes = |step: &LoadedStep| match step {
            LoadedStep::Normalize => 0,
            LoadedStep::Project(projection) => {
                let residual = match &projection.residual {
                    Residual::Projected(linear) => linear.bytes(),
                    _ => 0,
                };
                projection.linear.bytes() + residual
            }
        };
        self.steps.iter().map(bytes).sum()
    }
}

/// Adds everything that the rows depend on to a hash.
pub(crate) fn add_content(
    hasher: &mut ContentHasher,
    files: &ModelFiles,
    steps: &[Step],
) -> Result<(), ModelError> {
    for step in steps {
        match step {
            Step::Normalize => hasher.text("normalize"),
            Step::Project(projection) => {
                hasher.text("project");
                hasher.number(projection.activation as u64);
                hasher.number(u64::from(projection.residual));
                for (name, hash) in projection.file.open(files)?.0.content()? {
                    hasher.text(name);
                    hasher.hash(hash);
                }
            }
        }
    }
    Ok(())
}

/// Scales a row to unit length, as PyTorch's `normalize` does: a row of zeros stays.
pub(crate) fn normalize(row: &mut [f32]) {
    let length = row.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-12);
    row.iter_mut().for_each(|x| *x /= length);
}
