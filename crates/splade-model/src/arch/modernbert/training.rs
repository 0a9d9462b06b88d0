//! Training passes of ModernBERT.

use splade_nn::{Activation, Rotary, gated_activation, gated_backward};

use super::{Layer, ModernBert};
use crate::arch::batch::{add, resize};
use crate::arch::family::{Body, TrainingBody};
use crate::arch::training::{
    DropoutRates, Pass, Place, Saved, SavedLayer, Work, attention_dropout, dropped,
    linear_parameters, norm_parameters,
};
use crate::arch::words::Words;
use crate::parameter::Parameter;

impl ModernBert {
    fn layer_pass<'a>(&'a self, pass: &Pass<'a>, layer: usize) -> LayerPass<'a> {
        let local = self.layers[layer].attention.window.is_some();
        LayerPass {
            pass: *pass,
            layer,
            rotary: if local { &self.local } else { &self.global },
            activation: self.config.activation,
            rates: &self.config.dropout,
        }
    }
}

impl TrainingBody for ModernBert {
    fn forward_saved(
        &self,
        pass: &Pass<'_>,
        words: &dyn Words,
        saved: &mut Saved,
        work: &mut Work,
    ) {
        saved.with_layers(self.layers.len());
        words.embed(pass.texts.ids, &mut work.hidden);
        self.norm.forward_saved(pass.isa, &mut work.hidden, None, &mut saved.embedding_norm);
        pass.drop(self.config.dropout.embedding, Place::Embedding, &mut work.hidden);
        for (layer, (weights, saved)) in self.layers.iter().zip(&mut saved.layers).enumerate() {
            let at = self.layer_pass(pass, layer);
            weights.forward_saved(&at, saved, work);
        }
        self.final_norm.forward_saved(pass.isa, &mut work.hidden, None, &mut saved.final_norm);
    }

    fn backward(
        &self,
        pass: &Pass<'_>,
        saved: &Saved,
        gradients: &mut dyn Body,
        d_words: &mut dyn Words,
        work: &mut Work,
    ) {
        let gradients: &mut ModernBert = gradients.gradients_of();
        let d = &mut work.hidden;
        self.final_norm.backward(pass.isa, &saved.final_norm, d, &mut gradients.final_norm);
        for layer in (0..self.layers.len()).rev() {
            let at = self.layer_pass(pass, layer);
            let to = &mut gradients.layers[layer];
            self.layers[layer].backward(&at, &saved.layers[layer], to, work);
        }
        let d = &mut work.hidden;
        pass.drop(self.config.dropout.embedding, Place::Embedding, d);
        self.norm.backward(pass.isa, &saved.embedding_norm, d, &mut gradients.norm);
        d_words.add_to_embeddings(pass.texts.ids, self.config.pad, d);
    }

    fn zeros_like(&self) -> Box<dyn Body> {
        Box::new(Self {
            norm: self.norm.zeros_like(),
            layers: self.layers.iter().map(Layer::zeros_like).collect(),
            final_norm: self.final_norm.zeros_like(),
            global: self.global.clone(),
            local: self.local.clone(),
            config: self.config.clone(),
        })
    }

    fn parameters<'a>(&'a mut self, list: &mut Vec<Parameter<'a>>) {
        let biased = self.config.biases.norm;
        norm_parameters("model.embeddings.norm", &mut self.norm, biased, list);
        for (layer, weights) in self.layers.iter_mut().enumerate() {
            let name = |part: &str| format!("model.layers.{layer}.{part}");
            if let Some(norm) = &mut weights.attention_norm {
                norm_parameters(&name("attn_norm"), norm, biased, list);
            }
            linear_parameters(&[name("attn.Wqkv")], &mut weights.qkv, list);
            linear_parameters(&[name("attn.Wo")], &mut weights.attention_out, list);
            norm_parameters(&name("mlp_norm"), &mut weights.norm, biased, list);
            linear_parameters(&[name("mlp.Wi")], &mut weights.up, list);
            linear_parameters(&[name("mlp.Wo")], &mut weights.down, list);
        }
        norm_parameters("model.final_norm", &mut self.final_norm, biased, list);
    }
}

/// The inputs of a layer's passes beside its weights.
struct LayerPass<'a> {
    pass: Pass<'a>,
    layer: usize,
    rotary: &'a Rotary,
    activation: Activation,
    rates: &'a DropoutRates,
}

impl Layer {
    fn forward_saved(&self, at: &LayerPass<'_>, saved: &mut SavedLayer, work: &mut Work) {
        let LayerPass { pass, layer, rotary, activation, rates } = at;
        let (isa, tokens) = (pass.isa, pass.tokens());
        let (width, intermediate) = (self.down.weight.outputs(), self.down.weight.inputs());
        let Work { hidden, a, inner, .. } = work;

        a.clone_from(hidden);
        match &self.attention_norm {
            Some(norm) => norm.forward_saved(isa, a, None, &mut saved.input_norm),
            None => saved.input.clone_from(hidden),
        }
        resize(&mut saved.qkv, tokens * 3 * width);
        self.qkv.forward(a, Activation::Identity, &mut saved.qkv, true);
        rotary.rotate(&mut saved.qkv, self.attention.heads, pass.texts.offsets);
        resize(&mut saved.context, tokens * width);
        self.attention.forward_dropped(
            isa,
            &saved.qkv,
            &pass.keyed(),
            attention_dropout(rates),
            Place::Attention(*layer).number(),
            &mut saved.context,
        );
        self.attention_out.forward(&saved.context, Activation::Identity, a, true);
        pass.drop(rates.attention_out, Place::AttentionOut(*layer), a);
        add(hidden, a);

        a.clone_from(hidden);
        self.norm.forward_saved(isa, a, None, &mut saved.middle_norm);
        resize(&mut saved.up, tokens * 2 * intermediate);
        self.up.forward(a, Activation::Identity, &mut saved.up, true);
        resize(inner, tokens * intermediate);
        gated_activation(isa, &saved.up, inner, intermediate, *activation);
        pass.drop(rates.inner, Place::Inner(*layer), inner);
        self.down.forward(inner, Activation::Identity, a, true);
        add(hidden, a);
    }

    fn backward(
        &self,
        at: &LayerPass<'_>,
        saved: &SavedLayer,
        gradients: &mut Layer,
        work: &mut Work,
    ) {
        let LayerPass { pass, layer, rotary, activation, rates } = at;
        let (isa, tokens) = (pass.isa, pass.tokens());
        let intermediate = self.down.weight.inputs();
        let Work { hidden: d, a, b, inner, d_inner, d_qkv, scratch } = work;

        resize(inner, tokens * intermediate);
        gated_activation(isa, &saved.up, inner, intermediate, *activation);
        pass.drop(rates.inner, Place::Inner(*layer), inner);
        self.down.backward_weights(inner, d, &mut gradients.down, scratch);
        self.down.backward_input(d, inner, false, scratch);
        pass.drop(rates.inner, Place::Inner(*layer), inner);
        resize(d_inner, saved.up.len());
        gated_backward(isa, *activation, &saved.up, inner, d_inner, intermediate);
        self.norm.restore(isa, &saved.middle_norm, b);
        self.up.backward_weights(b, d_inner, &mut gradients.up, scratch);
        self.up.backward_input(d_inner, b, false, scratch);
        self.norm.backward(isa, &saved.middle_norm, b, &mut gradients.norm);
        add(d, b);

        let d_out = dropped(pass, rates.attention_out, Place::AttentionOut(*layer), d, a);
        let out = &mut gradients.attention_out;
        self.attention_out.backward_weights(&saved.context, d_out, out, scratch);
        resize(b, saved.context.len());
        self.attention_out.backward_input(d_out, b, false, scratch);
        resize(d_qkv, saved.qkv.len());
        self.attention.backward(
            isa,
            &saved.qkv,
            &pass.keyed(),
            attention_dropout(rates),
            Place::Attention(*layer).number(),
            b,
            d_qkv,
        );
        rotary.rotate_back(d_qkv, self.attention.heads, pass.texts.offsets);
        match &self.attention_norm {
            Some(norm) => norm.restore(isa, &saved.input_norm, b),
            None => b.clone_from(&saved.input),
        }
        self.qkv.backward_weights(b, d_qkv, &mut gradients.qkv, scratch);
        self.qkv.backward_input(d_qkv, b, false, scratch);
        if let (Some(norm), Some(to)) = (&self.attention_norm, &mut gradients.attention_norm) {
            norm.backward(isa, &saved.input_norm, b, to);
        }
        add(d, b);
    }

    fn zeros_like(&self) -> Self {
        Self {
            attention: self.attention,
            attention_norm: self.attention_norm.as_ref().map(|norm| norm.zeros_like()),
            qkv: self.qkv.zeros_like(),
            attention_out: self.attention_out.zeros_like(),
            norm: self.norm.zeros_like(),
            up: self.up.zeros_like(),
            down: self.down.zeros_like(),
        }
    }
}
