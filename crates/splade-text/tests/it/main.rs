//! Tests of the crate as its users see it, in one program.

// Ids of the tokenizers of `fixtures`.
mod reference;
// Ids of large sets of texts, where they are there.
mod golden;
// Folders with damaged files.
mod damaged;
// Places of tokens in their texts.
mod places;
