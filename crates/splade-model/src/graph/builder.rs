//! Builds a graph node by node. The name of a value is derived from the node that computes it.

use splade_io::Problem;
use splade_nn::Activation;

use super::proto::{Attribute, Dimension, Element, Graph, Node, Shape, Size, Tensor};
use super::proto::{TensorType, Type, ValueInfo};
use crate::error::ModelError;
use crate::weights::{FloatType, Weights};

/// The number that is added to masked scores, so that their exponentials are zero.
const FAR: f32 = -1e9;

/// The name of a value in the graph.
pub(crate) type Value = String;

/// A graph under construction, and the weights for its nodes.
pub(crate) struct Builder<'a> {
    weights: &'a Weights,
    dtype: FloatType,
    pub(crate) graph: Graph,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(weights: &'a Weights, dtype: FloatType) -> Self {
        Self { weights, dtype, graph: Graph { name: "splade".to_owned(), ..Graph::default() } }
    }

    /// Returns whether the weights have a tensor of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.weights.shape(name).is_some()
    }

    /// Adds an input of integers, `(batch, sequence)`.
    pub(crate) fn input(&mut self, name: &str) -> Value {
        let dimensions = [Size::Name("batch".to_owned()), Size::Name("sequence".to_owned())];
        self.graph.input.push(info(name, Element::Int64, dimensions.into()));
        name.to_owned()
    }

    /// Names a value and makes it the output of the graph.
    pub(crate) fn output(&mut self, value: &str, name: &str, dimensions: Vec<Size>) {
        self.node("Identity", &[value], vec![], &[name]);
        self.graph.output.push(info(name, Element::Float, dimensions));
    }

    /// Appends a node with one output.
    pub(crate) fn op(&mut self, op: &str, inputs: &[&str], attributes: Vec<Attribute>) -> Value {
        let name = format!("{op}_{}", self.graph.node.len());
        self.node(op, inputs, attributes, &[&name]);
        name
    }

    /// Appends a node that splits a value into equal parts along the last dimension.
    pub(crate) fn split(&mut self, x: &str, parts: usize) -> Vec<Value> {
        let at = self.graph.node.len();
        let names: Vec<Value> = (0..parts).map(|part| format!("Split_{at}_{part}")).collect();
        let outputs: Vec<&str> = names.iter().map(String::as_str).collect();
        self.node("Split", &[x], vec![int("axis", -1)], &outputs);
        names
    }

    fn node(&mut self, op: &str, inputs: &[&str], attribute: Vec<Attribute>, outputs: &[&str]) {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
        self.graph.node.push(Node {
            input: names(inputs),
            output: names(outputs),
            name: format!("{op}_{}_node", self.graph.node.len()),
            op_type: op.to_owned(),
            attribute,
        });
    }

    /// Adds a constant number.
    pub(crate) fn scalar(&mut self, x: f32) -> Value {
        self.constant("number", vec![], Element::Float, x.to_le_bytes().to_vec())
    }

    /// Adds a constant tensor of row-major numbers.
    pub(crate) fn floats(&mut self, shape: &[usize], numbers: &[f32]) -> Value {
        let bytes = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.constant("numbers", dims(shape), Element::Float, bytes)
    }

    /// Adds a constant list of integers.
    pub(crate) fn ints(&mut self, values: &[i64]) -> Value {
        let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.constant("integers", vec![values.len() as i64], Element::Int64, bytes)
    }

    fn constant(&mut self, kind: &str, dims: Vec<i64>, element: Element, raw: Vec<u8>) -> Value {
        let name = format!("{kind}_{}", self.graph.initializer.len());
        self.initializer(name.clone(), dims, element, raw);
        name
    }

    fn initializer(&mut self, name: String, dims: Vec<i64>, element: Element, raw_data: Vec<u8>) {
        self.graph.initializer.push(Tensor { dims, data_type: element as i32, name, raw_data });
    }

    /// Adds a tensor of the model as 32-bit numbers. If the file has 16 bits, a cast follows, which
    /// runtimes compute once. With `transposed`, `(outputs, inputs)` becomes `(inputs, outputs)`.
    pub(crate) fn weight(&mut self, name: &str, transposed: bool) -> Result<Value, ModelError> {
        let mut numbers = self.weights.read_f32(name)?;
        let mut shape = self.weights.shape(name).unwrap_or_default().to_vec();
        if let (true, [rows, columns]) = (transposed, &shape[..]) {
            let (rows, columns) = (*rows, *columns);
            let at = |i| numbers[(i % rows) * columns + i / rows];
            numbers = (0..numbers.len()).map(at).collect();
            shape.reverse();
        }
        let element = match self.dtype {
            FloatType::F32 => Element::Float,
            FloatType::F16 => Element::Float16,
            FloatType::Bf16 => Element::Bfloat16,
        };
        let mut bytes = Vec::new();
        self.dtype.encode(&numbers, &mut bytes).map_err(|number| {
            let what = format!("{name} contains {number}, which is too large for the type");
            ModelError::Unsuitable {
                path: self.weights.path().to_path_buf(),
                doing: "write the model in this type",
                problem: Problem::new(what).with_remedy("use --dtype f32"),
            }
        })?;
        self.initializer(name.to_owned(), dims(&shape), element, bytes);
        match element {
            Element::Float => Ok(name.to_owned()),
            _ => Ok(self.op("Cast", &[name], vec![int("to", Element::Float as i64)])),
        }
    }

    /// Appends `x · Wᵀ + b` with `{prefix}.weight` and, with `bias`, `{prefix}.bias`.
    pub(crate) fn linear(
        &mut self,
        x: &str,
        prefix: &str,
        bias: bool,
    ) -> Result<Value, ModelError> {
        let weight = self.weight(&format!("{prefix}.weight"), true)?;
        let product = self.op("MatMul", &[x, &weight], vec![]);
        if !bias {
            return Ok(product);
        }
        let bias = self.weight(&format!("{prefix}.bias"), false)?;
        Ok(self.op("Add", &[&product, &bias], vec![]))
    }

    /// Appends a layer norm over the last dimension.
    pub(crate) fn norm(
        &mut self,
        x: &str,
        prefix: &str,
        epsilon: f32,
        bias: bool,
    ) -> Result<Value, ModelError> {
        let mut inputs = vec![x.to_owned(), self.weight(&format!("{prefix}.weight"), false)?];
        if bias {
            inputs.push(self.weight(&format!("{prefix}.bias"), false)?);
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let attributes = vec![int("axis", -1), float("epsilon", epsilon)];
        Ok(self.op("LayerNormalization", &inputs, attributes))
    }

    pub(crate) fn activation(&mut self, x: &str, activation: Activation) -> Value {
        match activation {
            Activation::Identity => x.to_owned(),
            Activation::Relu => self.op("Relu", &[x], vec![]),
            Activation::Tanh => self.op("Tanh", &[x], vec![]),
            Activation::Silu => {
                let gate = self.op("Sigmoid", &[x], vec![]);
                self.op("Mul", &[x, &gate], vec![])
            }
            Activation::Gelu => {
                // x · (1 + erf(x / √2)) / 2
                let scaled = self.scaled(x, std::f32::consts::FRAC_1_SQRT_2);
                let erf = self.op("Erf", &[&scaled], vec![]);
                self.half_of(x, &erf)
            }
            Activation::GeluTanh => {
                // x · (1 + tanh(√(2/π) · (x + .044715 x³))) / 2, Hendrycks and Gimpel 2016.
                let square = self.op("Mul", &[x, x], vec![]);
                let cube = self.op("Mul", &[&square, x], vec![]);
                let cube = self.scaled(&cube, 0.044_715);
                let sum = self.op("Add", &[x, &cube], vec![]);
                let scale = std::f32::consts::FRAC_2_SQRT_PI * std::f32::consts::FRAC_1_SQRT_2;
                let scaled = self.scaled(&sum, scale);
                let tanh = self.op("Tanh", &[&scaled], vec![]);
                self.half_of(x, &tanh)
            }
        }
    }

    /// Appends `x · (1 + y) / 2`.
    fn half_of(&mut self, x: &str, y: &str) -> Value {
        let one = self.scalar(1.0);
        let sum = self.op("Add", &[y, &one], vec![]);
        let product = self.op("Mul", &[x, &sum], vec![]);
        self.scaled(&product, 0.5)
    }

    pub(crate) fn scaled(&mut self, x: &str, by: f32) -> Value {
        let by = self.scalar(by);
        self.op("Mul", &[x, &by], vec![])
    }

    pub(crate) fn add(&mut self, x: &str, y: &str) -> Value {
        self.op("Add", &[x, y], vec![])
    }

    pub(crate) fn cast(&mut self, x: &str, element: Element) -> Value {
        self.op("Cast", &[x], vec![int("to", element as i64)])
    }

    pub(crate) fn unsqueeze(&mut self, x: &str, axes: &[i64]) -> Value {
        let axes = self.ints(axes);
        self.op("Unsqueeze", &[x, &axes], vec![])
    }

    pub(crate) fn reshape(&mut self, x: &str, shape: &[i64]) -> Value {
        let shape = self.ints(shape);
        self.op("Reshape", &[x, &shape], vec![])
    }

    pub(crate) fn transpose(&mut self, x: &str, order: &[i64]) -> Value {
        self.op("Transpose", &[x], vec![ints("perm", order)])
    }

    /// Returns the number of tokens of a text, padding included, as a list with one entry.
    pub(crate) fn length(&mut self, ids: &str) -> Value {
        let shape = self.op("Shape", &[ids], vec![]);
        let one = self.ints(&[1]);
        self.op("Gather", &[&shape, &one], vec![])
    }

    /// Returns the positions 0, 1, 2 … of the tokens, `(sequence)`.
    pub(crate) fn places(&mut self, ids: &str) -> Value {
        let length = self.length(ids);
        let length = self.op("Squeeze", &[&length], vec![]);
        let [zero, one] = [0_i64, 1]
            .map(|x| self.constant("integer", vec![], Element::Int64, x.to_le_bytes().to_vec()));
        self.op("Range", &[&zero, &length, &one], vec![])
    }

    /// Returns 0 where the mask is 1, and a number far below zero where it is 0.
    pub(crate) fn far_where_zero(&mut self, mask: &str) -> Value {
        let mask = self.cast(mask, Element::Float);
        let one = self.scalar(1.0);
        let hidden = self.op("Sub", &[&one, &mask], vec![]);
        self.scaled(&hidden, FAR)
    }

    /// Appends attention. Queries, keys and values are split into heads,
    /// `(batch, heads, sequence, width)` each; the result is `(batch, sequence, hidden)`.
    pub(crate) fn attend(&mut self, [q, k, v]: [&str; 3], width: usize, bias: &str) -> Value {
        let keys = self.transpose(k, &[0, 1, 3, 2]);
        let scores = self.op("MatMul", &[q, &keys], vec![]);
        let scores = self.scaled(&scores, 1.0 / (width as f32).sqrt());
        let scores = self.add(&scores, bias);
        let shares = self.op("Softmax", &[&scores], vec![int("axis", -1)]);
        let context = self.op("MatMul", &[&shares, v], vec![]);
        let context = self.transpose(&context, &[0, 2, 1, 3]);
        self.reshape(&context, &[0, 0, -1])
    }

    /// Splits `(batch, sequence, hidden)` into heads, `(batch, heads, sequence, width)`.
    pub(crate) fn heads(&mut self, x: &str, heads: usize, width: usize) -> Value {
        let split = self.reshape(x, &[0, 0, heads as i64, width as i64]);
        self.transpose(&split, &[0, 2, 1, 3])
    }
}

fn dims(shape: &[usize]) -> Vec<i64> {
    shape.iter().map(|size| *size as i64).collect()
}

fn info(name: &str, element: Element, sizes: Vec<Size>) -> ValueInfo {
    let dimension = sizes.into_iter().map(|size| Dimension { size: Some(size) }).collect();
    let tensor = TensorType { element: element as i32, shape: Some(Shape { dimension }) };
    ValueInfo { name: name.to_owned(), kind: Some(Type { tensor: Some(tensor) }) }
}

pub(crate) fn int(name: &str, x: i64) -> Attribute {
    Attribute { name: name.to_owned(), i: Some(x), kind: 2, ..Attribute::default() }
}

pub(crate) fn ints(name: &str, values: &[i64]) -> Attribute {
    Attribute { name: name.to_owned(), ints: values.to_vec(), kind: 7, ..Attribute::default() }
}

fn float(name: &str, x: f32) -> Attribute {
    Attribute { name: name.to_owned(), f: Some(x), kind: 1, ..Attribute::default() }
}
