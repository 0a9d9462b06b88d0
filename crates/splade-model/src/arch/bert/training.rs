//! Training passes of BERT and its relatives.

use super::Bert;
use crate::arch::batch::{add, resize};
use crate::arch::family::{Body, TrainingBody};
use crate::arch::post_norm::LayerPass;
use crate::arch::training::{Pass, Place, Saved, Work, linear_parameters, norm_parameters};
use crate::arch::words::Words;
use crate::parameter::Parameter;

use splade_nn::Activation;

impl Bert {
    fn layer_pass<'a>(&'a self, pass: &Pass<'a>, layer: usize) -> LayerPass<'a> {
        LayerPass {
            pass: *pass,
            layer,
            attention: &self.attention,
            activation: self.config.activation,
            rates: &self.config.dropout,
        }
    }
}

impl TrainingBody for Bert {
    fn forward_saved(
        &self,
        pass: &Pass<'_>,
        words: &dyn Words,
        saved: &mut Saved,
        work: &mut Work,
    ) {
        saved.with_layers(self.layers.len());
        let hidden = &mut work.hidden;
        words.embed(pass.texts.ids, hidden);
        self.add_places(&pass.texts, hidden);
        self.norm.forward_saved(pass.isa, hidden, None, &mut saved.embedding_norm);
        pass.drop(self.config.dropout.embedding, Place::Embedding, hidden);
        if let Some(projection) = &self.projection {
            resize(&mut work.a, pass.tokens() * projection.weight.outputs());
            projection.forward(hidden, Activation::Identity, &mut work.a, true);
            std::mem::swap(hidden, &mut work.a);
        }
        saved.embedded.clone_from(hidden);
        for (layer, (weights, saved)) in self.layers.iter().zip(&mut saved.layers).enumerate() {
            weights.forward_saved(&self.layer_pass(pass, layer), saved, work);
        }
    }

    fn backward(
        &self,
        pass: &Pass<'_>,
        saved: &Saved,
        gradients: &mut dyn Body,
        d_words: &mut dyn Words,
        work: &mut Work,
    ) {
        let gradients: &mut Bert = gradients.gradients_of();
        for layer in (0..self.layers.len()).rev() {
            let input = |out: &mut Vec<f32>| match layer {
                0 => out.clone_from(&saved.embedded),
                _ => {
                    let before = &saved.layers[layer - 1].output_norm;
                    self.layers[layer - 1].restore_output(pass.isa, before, out);
                }
            };
            let at = self.layer_pass(pass, layer);
            let to = &mut gradients.layers[layer];
            self.layers[layer].backward(&at, &saved.layers[layer], input, to, work);
        }
        let Work { hidden: d, a, b, scratch, .. } = work;
        if let (Some(projection), Some(to)) = (&self.projection, &mut gradients.projection) {
            self.norm.restore(pass.isa, &saved.embedding_norm, a);
            pass.drop(self.config.dropout.embedding, Place::Embedding, a);
            projection.backward_weights(a, d, to, scratch);
            resize(b, pass.tokens() * projection.weight.inputs());
            projection.backward_input(d, b, false, scratch);
            std::mem::swap(d, b);
        }
        pass.drop(self.config.dropout.embedding, Place::Embedding, d);
        self.norm.backward(pass.isa, &saved.embedding_norm, d, &mut gradients.norm);
        let width = self.norm.weight.len();
        let places = self.position_rows(&pass.texts).into_iter().zip(pass.texts.token_types());
        for (d, (position, kind)) in d.chunks_exact(width).zip(places) {
            if let Some(token_types) = &mut gradients.token_types {
                add(&mut token_types[kind * width..][..width], d);
            }
            // The position of padding in RoBERTa gets no gradient.
            if self.position_start != Some(position as u32) {
                add(&mut gradients.positions[position * width..][..width], d);
            }
        }
        d_words.add_to_embeddings(pass.texts.ids, self.config.pad, d);
    }

    fn zeros_like(&self) -> Box<dyn Body> {
        Box::new(Self {
            attention: self.attention,
            config: self.config.clone(),
            positions: vec![0.0; self.positions.len()],
            token_types: self.token_types.as_ref().map(|table| vec![0.0; table.len()]),
            norm: self.norm.zeros_like(),
            projection: self.projection.as_ref().map(|projection| projection.zeros_like()),
            layers: self.layers.iter().map(|layer| layer.zeros_like()).collect(),
            position_start: self.position_start,
        })
    }

    fn parameters<'a>(&'a mut self, list: &mut Vec<Parameter<'a>>) {
        let config = &self.config;
        let names = config.family.names();
        let width = config.embedding;
        let at = |part: &str| format!("{}.{part}", names.embeddings);
        let shape = [config.positions, width];
        let name = at("position_embeddings.weight");
        list.push(Parameter::plain(vec![name], &shape, &mut self.positions));
        if let Some(token_types) = &mut self.token_types {
            let name = at("token_type_embeddings.weight");
            let shape = [config.token_types, width];
            list.push(Parameter::plain(vec![name], &shape, token_types));
        }
        norm_parameters(&at("LayerNorm"), &mut self.norm, true, list);
        if let Some(projection) = &mut self.projection {
            linear_parameters(&["electra.embeddings_project".to_owned()], projection, list);
        }
        for (layer, weights) in self.layers.iter_mut().enumerate() {
            weights.parameters(&format!("{}.{layer}", names.layers), &names.layer, list);
        }
    }
}
