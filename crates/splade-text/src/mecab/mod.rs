//! MeCab's word segmentation, exactly: the dictionary formats and the one-best lattice search.
//!
//! [`parts::Parts`] is the neutral form of a dictionary. It comes from a compiled MeCab folder
//! ([`compiled`]) or from one small packed file ([`packed`]); [`image`] lays it out for searching,
//! in memory or in a file that is mapped; [`lattice`] finds the words.

pub(crate) mod cache;
pub(crate) mod compiled;
pub(crate) mod image;
pub(crate) mod lattice;
pub(crate) mod packed;
pub(crate) mod parts;

pub(crate) use image::Dictionary;
pub(crate) use lattice::Lattice;
