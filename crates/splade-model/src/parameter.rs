//! The numbers of a layer in the two orders in which they are used: packed, as an optimizer sees
//! them, and as tensors with the names and shapes of Hugging Face.

use splade_nn::PackedMatrix;

/// The numbers of one or more tensors of equal shape that the model keeps together, with their
/// layout.
///
/// ```
/// use splade_model::Isa;
/// use splade_model::folder::{Pooling, Saturation};
/// use splade_model::training::Trainable;
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
/// let mut model = Trainable::load(&model, Pooling::Max, Saturation::Log1pRelu, Isa::detect())?;
/// // Plain gradient descent, with a learning rate of 0.01.
/// model.forward(&[&[2, 100, 3]], &[0]);
/// # let terms = model.encode(&[&[2, 100, 3]])[0].len();
/// model.backward(&[vec![1.0; terms]]);
/// for (parameter, gradient) in model.parameters() {
///     for (number, gradient) in parameter.numbers.iter_mut().zip(gradient.numbers) {
///         *number -= 0.01 * *gradient;
///     }
/// }
/// # Ok::<(), splade_model::ModelError>(())
/// ```
#[derive(Debug)]
pub struct Parameter<'a> {
    layout: ParameterLayout,
    /// All numbers, in the order of the kernels.
    pub numbers: &'a mut [f32],
}

/// The names and the shape of a parameter's tensors, and the order of its numbers.
///
/// ```
/// use splade_model::Isa;
/// use splade_model::folder::{Pooling, Saturation};
/// use splade_model::training::Trainable;
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
/// let mut model = Trainable::load(&model, Pooling::Max, Saturation::Log1pRelu, Isa::detect())?;
/// let parameters = model.parameters();
/// let (parameter, _) = &parameters[0];
/// let tensors = parameter.layout().to_tensors(parameter.numbers);
/// let numbers = tensors.into_iter().map(|tensor| tensor.numbers).collect::<Vec<_>>();
/// assert_eq!(parameter.layout().from_tensors(&numbers), parameter.numbers);
/// # Ok::<(), splade_model::ModelError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterLayout {
    names: Vec<String>,
    /// The shape of each tensor.
    shape: Vec<usize>,
    /// The width of a panel in rows if the numbers are packed, otherwise `None`.
    panel: Option<usize>,
    /// The length of the numbers, including the padding of the last panel.
    len: usize,
}

/// A tensor as a weights file holds it.
///
/// ```
/// use splade_model::Isa;
/// use splade_model::folder::{Pooling, Saturation};
/// use splade_model::training::Trainable;
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo");
/// let mut model = Trainable::load(&model, Pooling::Max, Saturation::Log1pRelu, Isa::detect())?;
/// let parameters = model.parameters();
/// let tensors = parameters.iter().flat_map(|(parameter, _)| parameter.layout().to_tensors(parameter.numbers));
/// for tensor in tensors {
///     assert_eq!(tensor.numbers.len(), tensor.shape.iter().product::<usize>(), "{}", tensor.name);
/// }
/// # Ok::<(), splade_model::ModelError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// The name of the tensor in transformers.
    pub name: String,
    /// The dimensions, from the slowest to the fastest.
    pub shape: Vec<usize>,
    /// The numbers in row-major order.
    pub numbers: Vec<f32>,
}

impl<'a> Parameter<'a> {
    /// Returns the parameter of row-major tensors of one shape, stored one after another.
    pub(crate) fn plain(names: Vec<String>, shape: &[usize], numbers: &'a mut [f32]) -> Self {
        let (size, len): (usize, usize) = (shape.iter().product(), numbers.len());
        assert!(len == names.len() * size, "{names:?}: the numbers do not fit the shape");
        Self { layout: ParameterLayout { names, shape: shape.to_vec(), panel: None, len }, numbers }
    }

    /// Returns the parameter of matrices of one shape, packed as one matrix, one below another.
    pub(crate) fn packed(names: Vec<String>, matrix: &'a mut PackedMatrix) -> Self {
        let (rows, inputs) = (matrix.outputs(), matrix.inputs());
        assert!(rows.is_multiple_of(names.len()), "{names:?}: the rows cannot be divided equally");
        let shape = vec![rows / names.len(), inputs];
        let panel = Some(matrix.panel_width());
        let numbers = matrix.numbers_mut();
        Self { layout: ParameterLayout { names, shape, panel, len: numbers.len() }, numbers }
    }

    /// Returns the layout: the names and the shape of the tensors and the order of the numbers.
    pub fn layout(&self) -> &ParameterLayout {
        &self.layout
    }
}

impl ParameterLayout {
    /// Returns the name of the first tensor.
    pub fn name(&self) -> &str {
        &self.names[0]
    }

    /// Returns the names of all tensors.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Returns the shape of each tensor.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Returns the width of a panel and the length of a row if the numbers are packed. Number `i`
    /// of row `r` is then at the index `(r / width * length + i) * width + r % width`.
    pub fn panels(&self) -> Option<(usize, usize)> {
        self.panel.map(|width| (width, self.shape[1]))
    }

    /// Returns the tensors of `numbers`, which are in the order of the parameter.
    ///
    /// # Panics
    /// Panics if there are more or fewer numbers than the parameter has.
    pub fn to_tensors(&self, numbers: &[f32]) -> Vec<Tensor> {
        assert!(numbers.len() == self.len, "{}: wrong number of values", self.name());
        let size: usize = self.shape.iter().product();
        let tensor = |(i, name): (usize, &String)| {
            let numbers = match self.panel {
                None => numbers[i * size..(i + 1) * size].to_vec(),
                Some(panel) => {
                    let (rows, inputs) = (self.shape[0], self.shape[1]);
                    let mut out = Vec::with_capacity(size);
                    for row in i * rows..(i + 1) * rows {
                        let start = row / panel * panel * inputs + row % panel;
                        out.extend(numbers[start..].iter().step_by(panel).take(inputs));
                    }
                    out
                }
            };
            Tensor { name: name.clone(), shape: self.shape.clone(), numbers }
        };
        self.names.iter().enumerate().map(tensor).collect()
    }

    /// Returns the numbers in the order of the parameter. The tensors are row-major and in the
    /// order of their names.
    ///
    /// # Panics
    /// Panics if a tensor has another size.
    pub fn from_tensors(&self, tensors: &[Vec<f32>]) -> Vec<f32> {
        let size: usize = self.shape.iter().product();
        assert!(
            tensors.len() == self.names.len() && tensors.iter().all(|tensor| tensor.len() == size),
            "{}: wrong number or size of tensors",
            self.name()
        );
        let Some(panel) = self.panel else { return tensors.concat() };
        let inputs = self.shape[1];
        let mut numbers = vec![0.0; self.len];
        let rows = tensors.iter().flat_map(|tensor| tensor.chunks_exact(inputs));
        for (row, from) in rows.enumerate() {
            let start = row / panel * panel * inputs + row % panel;
            let to = numbers[start..].iter_mut().step_by(panel);
            to.zip(from).for_each(|(to, x)| *to = *x);
        }
        numbers
    }
}
