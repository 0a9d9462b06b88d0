//! MeCab's word segmentation with identical results: the dictionary formats and the search for the
//! best path through the lattice.
//!
//! [`parts::Parts`] is the neutral form of a dictionary. It is read from a compiled MeCab folder
//! ([`compiled`]) or from one small packed file ([`packed`]). [`image`] lays it out for searching,
//! in memory or in a mapped file, and [`lattice`] finds the words.

pub(crate) mod parts;
pub(crate) mod compiled;
mod coded;
pub(crate) mod packed;
#[cfg(any(feature = "zstd", test))]
pub(crate) mod pack;
pub(crate) mod image;
pub(crate) mod cache;
pub(crate) mod lattice;

pub(crate) use image::Dictionary;
pub(crate) use lattice::Lattice;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::path::Path;

    /// Returns files of the dictionary that `scripts/reference/tokenization.py` makes.
    pub(crate) fn small_dictionary<const N: usize>(names: [&str; N]) -> [Vec<u8>; N] {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mecab");
        names.map(|name| {
            let file = std::fs::File::open(dir.join(format!("{name}.gz"))).expect("a fixture");
            let mut bytes = Vec::new();
            flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).expect("gzip");
            bytes
        })
    }

    pub(crate) fn segment(
        lattice: &mut Lattice,
        dictionary: &Dictionary,
        text: &str,
    ) -> Vec<String> {
        let words = lattice.words(dictionary, text).iter();
        words.map(|word| text[word.clone()].to_owned()).collect()
    }

    fn small_folder() -> tempfile::TempDir {
        let names = ["sys.dic", "unk.dic", "char.bin", "matrix.bin"];
        let folder = tempfile::tempdir().expect("a folder");
        for (name, bytes) in names.iter().zip(small_dictionary(names)) {
            std::fs::write(folder.path().join(name), bytes).expect("written");
        }
        folder
    }

    /// Compares with MeCab's own words, by a dictionary with many equal costs and every kind of
    /// category.
    #[test]
    fn words_are_those_of_mecab() {
        let folder = small_folder();
        let parts = compiled::read(folder.path()).expect("a dictionary");
        let packed = pack::pack(&parts).expect("packed");
        assert!(packed::unpack(&packed).expect("unpacked") == parts, "packing loses nothing");
        let built = Dictionary::build(parts);
        // The second dictionary is mapped from the file that the first one writes.
        let cache = tempfile::tempdir().expect("a folder");
        let first = cache::open(&packed, Some(cache.path())).expect("built");
        let mapped = cache::open(&packed, Some(cache.path())).expect("mapped");
        let expected = Path::new(env!("CARGO_MANIFEST_DIR"));
        let expected = expected.join("tests/fixtures/mecab/expected.ndjson");
        let expected = std::fs::read_to_string(expected).expect("a fixture");
        let mut lattice = Lattice::default();
        let mut wrong = Vec::new();
        for row in expected.split_terminator('\n') {
            let row: serde_json::Value = serde_json::from_str(row).expect("JSON");
            let text = row["text"].as_str().expect("a text");
            for dictionary in [&built, &first, &mapped] {
                let words = segment(&mut lattice, dictionary, text);
                if serde_json::Value::from(words.clone()) != row["words"] {
                    wrong.push(format!("{text:?}: {words:?}, not {}", row["words"]));
                }
            }
        }
        assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    }

    /// Compares the built-in dictionary with unidic-lite, whose folder `LIGHT_SPLADE_UNIDIC_LITE`
    /// names.
    #[test]
    #[cfg(feature = "unidic-lite")]
    fn the_built_in_dictionary_is_unidic_lite() {
        let Some(dir) = std::env::var_os("LIGHT_SPLADE_UNIDIC_LITE") else {
            println!("skipped: LIGHT_SPLADE_UNIDIC_LITE is not set");
            return;
        };
        let packed = packed::unpack(splade_unidic::UNIDIC_LITE).expect("the built-in dictionary");
        let compiled = compiled::read(Path::new(&dir)).expect("unidic-lite");
        assert!(packed == compiled, "the dictionaries differ");
    }
}
