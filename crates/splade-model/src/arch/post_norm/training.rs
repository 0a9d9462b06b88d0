//! Training passes of a post-norm layer.

use splade_nn::{Activation, Attention, activate, activation_backward};

use super::{LayerNames, PostNormLayer};
use crate::arch::batch::resize;
use crate::arch::training::{
    DropoutRates, Pass, Place, SavedLayer, Work, attention_dropout, dropped, linear_parameters,
    norm_parameters,
};
use crate::parameter::Parameter;

/// The inputs of a layer's passes beside its weights.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LayerPass<'a> {
    pub(crate) pass: Pass<'a>,
    pub(crate) layer: usize,
    pub(crate) attention: &'a Attention,
    pub(crate) activation: Activation,
    pub(crate) rates: &'a DropoutRates,
}

impl PostNormLayer {
    /// Updates `work.hidden` like `forward`, with dropout, and keeps what `backward` needs.
    pub(crate) fn forward_saved(
        &self,
        at: &LayerPass<'_>,
        saved: &mut SavedLayer,
        work: &mut Work,
    ) {
        let LayerPass { pass, layer, attention, activation, rates } = at;
        let (isa, tokens) = (pass.isa, pass.tokens());
        let width = self.down.weight.outputs();
        let Work { hidden, a, inner, .. } = work;

        resize(&mut saved.qkv, tokens * 3 * width);
        self.qkv.forward(hidden, Activation::Identity, &mut saved.qkv, true);
        resize(&mut saved.context, tokens * width);
        attention.forward_dropped(
            isa,
            &saved.qkv,
            &pass.keyed(),
            attention_dropout(rates),
            Place::Attention(*layer).number(),
            &mut saved.context,
        );
        resize(a, tokens * width);
        self.attention_out.forward(&saved.context, Activation::Identity, a, true);
        pass.drop(rates.attention_out, Place::AttentionOut(*layer), a);
        self.attention_norm.forward_saved(isa, hidden, Some(a), &mut saved.middle_norm);

        resize(&mut saved.up, tokens * self.up.weight.outputs());
        self.up.forward(hidden, Activation::Identity, &mut saved.up, true);
        resize(inner, saved.up.len());
        activate(isa, *activation, &saved.up, inner);
        self.down.forward(inner, Activation::Identity, a, true);
        pass.drop(rates.out, Place::Out(*layer), a);
        self.norm.forward_saved(isa, hidden, Some(a), &mut saved.output_norm);
    }

    /// Turns the gradient of the output, in `work.hidden`, into that of the input and adds to the
    /// `gradients` of the weights. `input` writes the layer's input, `(tokens, hidden)`.
    pub(crate) fn backward(
        &self,
        at: &LayerPass<'_>,
        saved: &SavedLayer,
        input: impl FnOnce(&mut Vec<f32>),
        gradients: &mut PostNormLayer,
        work: &mut Work,
    ) {
        let LayerPass { pass, layer, attention, activation, rates } = at;
        let (isa, tokens) = (pass.isa, pass.tokens());
        let Work { hidden: d, a, b, inner, d_inner, d_qkv, scratch } = work;

        self.norm.backward(isa, &saved.output_norm, d, &mut gradients.norm);
        let d_down = dropped(pass, rates.out, Place::Out(*layer), d, a);
        resize(inner, saved.up.len());
        activate(isa, *activation, &saved.up, inner);
        self.down.backward_weights(inner, d_down, &mut gradients.down, scratch);
        resize(d_inner, saved.up.len());
        self.down.backward_input(d_down, d_inner, false, scratch);
        activation_backward(isa, *activation, &saved.up, d_inner);
        self.attention_norm.restore(isa, &saved.middle_norm, b);
        self.up.backward_weights(b, d_inner, &mut gradients.up, scratch);
        self.up.backward_input(d_inner, d, true, scratch);

        self.attention_norm.backward(isa, &saved.middle_norm, d, &mut gradients.attention_norm);
        let d_out = dropped(pass, rates.attention_out, Place::AttentionOut(*layer), d, a);
        let out = &mut gradients.attention_out;
        self.attention_out.backward_weights(&saved.context, d_out, out, scratch);
        resize(b, saved.context.len());
        self.attention_out.backward_input(d_out, b, false, scratch);
        resize(d_qkv, tokens * self.qkv.weight.outputs());
        attention.backward(
            isa,
            &saved.qkv,
            &pass.keyed(),
            attention_dropout(rates),
            Place::Attention(*layer).number(),
            b,
            d_qkv,
        );
        input(b);
        self.qkv.backward_weights(b, d_qkv, &mut gradients.qkv, scratch);
        self.qkv.backward_input(d_qkv, d, true, scratch);
    }

    /// Returns zeros of the same shapes.
    pub(crate) fn zeros_like(&self) -> Self {
        Self {
            qkv: self.qkv.zeros_like(),
            attention_out: self.attention_out.zeros_like(),
            attention_norm: self.attention_norm.zeros_like(),
            up: self.up.zeros_like(),
            down: self.down.zeros_like(),
            norm: self.norm.zeros_like(),
        }
    }

    /// Appends the layer's parameters to the list, with names under `prefix`.
    pub(crate) fn parameters<'a>(
        &'a mut self,
        prefix: &str,
        names: &LayerNames,
        list: &mut Vec<Parameter<'a>>,
    ) {
        let name = |part: &str| format!("{prefix}.{part}");
        let qkv = [names.query, names.key, names.value].map(name);
        linear_parameters(&qkv, &mut self.qkv, list);
        linear_parameters(&[name(names.attention_out)], &mut self.attention_out, list);
        norm_parameters(&name(names.attention_norm), &mut self.attention_norm, true, list);
        linear_parameters(&[name(names.up)], &mut self.up, list);
        linear_parameters(&[name(names.down)], &mut self.down, list);
        norm_parameters(&name(names.norm), &mut self.norm, true, list);
    }
}
