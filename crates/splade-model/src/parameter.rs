//! The numbers of a layer as an optimizer sees them, and as Hugging Face names and shapes them.

use splade_nn::PackedMatrix;

/// One or several tensors that are kept together.
#[derive(Debug)]
pub struct Parameter<'a> {
    layout: ParameterLayout,
    /// All numbers, in the order of the kernels.
    pub numbers: &'a mut [f32],
}

/// Which tensors a parameter is made of, and in which order its numbers stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterLayout {
    names: Vec<String>,
    /// Of each tensor.
    shape: Vec<usize>,
    /// Columns of a panel, where the numbers are packed.
    panel: Option<usize>,
    /// Numbers, with those that fill the last panel.
    len: usize,
}

/// A tensor as it stands in a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// As Hugging Face's.
    pub name: String,
    /// Row-major.
    pub shape: Vec<usize>,
    /// Row-major.
    pub numbers: Vec<f32>,
}

impl<'a> Parameter<'a> {
    /// Row-major tensors of one shape, one behind another.
    pub(crate) fn plain(names: Vec<String>, shape: &[usize], numbers: &'a mut [f32]) -> Self {
        let (size, len): (usize, usize) = (shape.iter().product(), numbers.len());
        assert!(len == names.len() * size, "{names:?}: another shape");
        Self { layout: ParameterLayout { names, shape: shape.to_vec(), panel: None, len }, numbers }
    }

    /// Matrices of one shape, one below another, packed as one.
    pub(crate) fn packed(names: Vec<String>, matrix: &'a mut PackedMatrix) -> Self {
        let (rows, inputs) = (matrix.outputs(), matrix.inputs());
        assert!(rows.is_multiple_of(names.len()), "{names:?}: rows do not divide");
        let shape = vec![rows / names.len(), inputs];
        let panel = Some(matrix.panel_width());
        let numbers = matrix.numbers_mut();
        Self { layout: ParameterLayout { names, shape, panel, len: numbers.len() }, numbers }
    }

    /// Which tensors it is made of.
    pub fn layout(&self) -> &ParameterLayout {
        &self.layout
    }
}

impl ParameterLayout {
    /// The name of the first tensor.
    pub fn name(&self) -> &str {
        &self.names[0]
    }

    /// The names of all tensors.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The shape of each tensor.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The width of a panel and the length of a row, where the numbers are packed: number `i` of row
    /// `r` stands at `(r / width * length + i) * width + r % width`.
    pub fn panels(&self) -> Option<(usize, usize)> {
        self.panel.map(|width| (width, self.shape[1]))
    }

    /// The tensors, filled with `numbers`, which stand in the parameter's order.
    ///
    /// # Panics
    /// If there are more or fewer numbers than the parameter has.
    pub fn to_tensors(&self, numbers: &[f32]) -> Vec<Tensor> {
        assert!(numbers.len() == self.len, "{}: other numbers", self.name());
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

    /// Numbers in the parameter's order, from its tensors, row-major, in the order of their names.
    ///
    /// # Panics
    /// If a tensor has another size.
    pub fn from_tensors(&self, tensors: &[Vec<f32>]) -> Vec<f32> {
        let size: usize = self.shape.iter().product();
        assert!(
            tensors.len() == self.names.len() && tensors.iter().all(|tensor| tensor.len() == size),
            "{}: other tensors",
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
