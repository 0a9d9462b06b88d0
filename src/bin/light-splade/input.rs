//! Texts as the command line names them.

pub(crate) use light_splade::input::{
    Position, Record, TextOptions as InputOptions, Texts as Inputs,
};
