//! SPLADE sparse retrieval: encode, index, search, evaluate, train and export, without Python.
