//! Text to token ids, exactly as Hugging Face tokenizers give them, Japanese included.
