//! SPLADE models from Hugging Face folders: texts in, sparse vectors out.
