"""Adapters to other libraries, one module each. A module imports its library only where the library asks for a class of
its own; the others work by their methods alone.

| module | library | what it is there |
|---|---|---|
| `langchain` | LangChain | `SparseEmbeddings` of `langchain_qdrant` |
| `haystack` | Haystack 2 | a sparse embedder of documents and one of texts |
| `llama_index` | LlamaIndex | `sparse_doc_fn` and `sparse_query_fn` of `QdrantVectorStore` |
| `milvus` | Milvus | an embedding function of `milvus_model` |
| `beir` | BEIR | a retriever for `EvaluateRetrieval` |
| `mteb` | MTEB 2 | a search model |
| `pyterrier` | PyTerrier | transformers of queries and documents |
"""
