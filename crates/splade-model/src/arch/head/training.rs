//! Training passes of the head.

use splade_nn::{Activation, Linear, Matrix, activate, activation_backward};

use super::{Decoder, Transform};
use crate::arch::batch::resize;
use crate::arch::family::WordHead;
use crate::arch::training::{Pass, Saved, Work, linear_parameters, norm_parameters};
use crate::parameter::Parameter;

impl Transform {
    /// Computes the decoder's input, in `saved.output`, from `work.hidden` and keeps what
    /// `backward` needs.
    pub(crate) fn forward_saved(&self, pass: &Pass<'_>, saved: &mut Saved, work: &mut Work) {
        saved.hidden.clone_from(&work.hidden);
        let len = pass.tokens() * self.dense.weight.outputs();
        resize(&mut saved.dense, len);
        self.dense.forward(&saved.hidden, Activation::Identity, &mut saved.dense, true);
        resize(&mut saved.output, len);
        activate(pass.isa, self.activation, &saved.dense, &mut saved.output);
        self.norm.forward_saved(pass.isa, &mut saved.output, None, &mut saved.head_norm);
    }

    /// Propagates the gradient of the decoder's input, in `work.a`, to that of the hidden states,
    /// in `work.hidden`.
    pub(crate) fn backward(
        &self,
        pass: &Pass<'_>,
        saved: &Saved,
        gradients: &mut Transform,
        work: &mut Work,
    ) {
        let Work { hidden, a: d, scratch, .. } = work;
        self.norm.backward(pass.isa, &saved.head_norm, d, &mut gradients.norm);
        activation_backward(pass.isa, self.activation, &saved.dense, d);
        self.dense.backward_weights(&saved.hidden, d, &mut gradients.dense, scratch);
        resize(hidden, saved.hidden.len());
        self.dense.backward_input(d, hidden, false, scratch);
    }
}

impl Decoder {
    /// Returns zeros of the same shapes.
    pub(crate) fn zeros_like(&self) -> Self {
        Self {
            transform: Transform {
                dense: self.transform.dense.zeros_like(),
                activation: self.transform.activation,
                norm: self.transform.norm.zeros_like(),
            },
            output: Linear::zeros_like(&self.output),
            embedding: self.embedding.as_ref().map(|table| vec![0.0; table.len()]),
        }
    }

    /// Appends the parameters to the list: the word embeddings, the transform, the decoder.
    pub(crate) fn parameters<'a>(&'a mut self, head: &WordHead, list: &mut Vec<Parameter<'a>>) {
        let Matrix::F32(matrix) = &mut self.output.weight else {
            panic!("only 32-bit floats are trained")
        };
        match &mut self.embedding {
            Some(table) => {
                let shape = [matrix.outputs(), matrix.inputs()];
                list.push(Parameter::plain(vec![head.embedding.to_owned()], &shape, table));
                list.push(Parameter::packed(vec![head.decoder.to_owned()], matrix));
            }
            None => list.push(Parameter::packed(vec![head.embedding.to_owned()], matrix)),
        }
        linear_parameters(&[head.dense.to_owned()], &mut self.transform.dense, list);
        norm_parameters(head.norm, &mut self.transform.norm, head.norm_bias, list);
        if let (Some(bias), Some(name)) = (&mut self.output.bias, head.bias_names().first()) {
            let width = [bias.len()];
            list.push(Parameter::plain(vec![(*name).to_owned()], &width, bias));
        }
    }
}
