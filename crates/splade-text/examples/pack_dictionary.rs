//! Packs a compiled MeCab dictionary: `pack_dictionary DICDIR OUT`.
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, dir, out] = &args[..] else { return Err("usage: pack_dictionary DICDIR OUT".into()) };
    std::fs::write(out, splade_text::pack_dictionary(Path::new(dir))?)?;
    Ok(())
}
