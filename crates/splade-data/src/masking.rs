//! Selects and masks the tokens of a sequence for masked language modelling (BERT, arXiv
//! 1810.04805, section 3.1, with whole words as in its later release). Of the tokens to be
//! predicted, eight in ten become the mask token, one becomes another token, and one is unchanged.
//! All choices follow from a key.

use splade_text::Tokenizer;

use super::random::Random;
use crate::error::DataError;

/// The masking rules for one tokenizer.
///
/// ```
/// use splade_data::Masking;
/// use splade_text::{Tokenizer, TokenizerOptions};
///
/// # let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../splade-text/tests/fixtures/bert-uncased");
/// let tokenizer = Tokenizer::from_dir(&model, &TokenizerOptions::default())?;
/// let masking = Masking::new(&tokenizer, 0.5, true)?;
/// let ids = tokenizer.encode("the night train before dawn in the rain", None)?.ids;
/// let mut masked = ids.clone();
/// let hidden = masking.hide(&mut masked, &[42]);
/// assert!(!hidden.is_empty());
/// assert!(hidden.iter().all(|(place, id)| ids[*place] == *id));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Masking {
    share: f64,
    mask: u32,
    /// The ids of the ordinary tokens, which may replace a token.
    ordinary: Vec<u32>,
    /// For each token id, whether the token is special and therefore never masked.
    special: Vec<bool>,
    /// For each token id, whether the token continues the word of the previous token; empty if
    /// tokens are masked one by one.
    continues: Vec<bool>,
}

impl Masking {
    /// Creates masking rules for a tokenizer. `share` is the share of tokens to mask. With
    /// `whole_words`, all pieces of a word are masked together if the vocabulary marks pieces with
    /// `##`.
    ///
    /// # Errors
    /// Returns an error if the tokenizer has no mask token or no ordinary token.
    pub fn new(tokenizer: &Tokenizer, share: f64, whole_words: bool) -> Result<Self, DataError> {
        let mask = ["[MASK]", "<mask>"].into_iter().find_map(|token| tokenizer.id(token));
        let mask = mask.ok_or_else(|| DataError::Vocabulary("neither [MASK] nor <mask>"))?;
        let mut special = vec![false; tokenizer.len()];
        tokenizer.special_ids().iter().for_each(|id| special[*id as usize] = true);
        special[mask as usize] = true;
        let known = |id: &u32| !special[*id as usize] && tokenizer.token(*id).is_some();
        let ordinary: Vec<u32> = (0..tokenizer.len() as u32).filter(known).collect();
        if ordinary.is_empty() {
            return Err(DataError::Vocabulary("only special tokens"));
        }
        let goes_on = |id| tokenizer.token(id).is_some_and(|token| token.starts_with("##"));
        let continues = match whole_words {
            true => (0..tokenizer.len() as u32).map(goes_on).collect(),
            false => Vec::new(),
        };
        Ok(Self { share, mask, ordinary, special, continues })
    }

    /// Returns whether the vocabulary marks pieces, so that whole words are masked.
    pub fn knows_words(&self) -> bool {
        self.continues.contains(&true)
    }

    /// Masks tokens of a sequence in place and returns the positions and original ids of the tokens
    /// to be predicted.
    pub fn hide(&self, ids: &mut [u32], key: &[u64]) -> Vec<(usize, u32)> {
        let mut random = Random::new(key);
        let mut hidden = Vec::new();
        let mut start = 0;
        while start < ids.len() {
            let mut end = start + 1;
            if !self.special[ids[start] as usize] {
                while end < ids.len() && self.continues.get(ids[end] as usize) == Some(&true) {
                    end += 1;
                }
                if random.share() < self.share {
                    for (offset, id) in ids[start..end].iter_mut().enumerate() {
                        hidden.push((start + offset, *id));
                        match random.below(10) {
                            0 => {}
                            1 => *id = self.ordinary[random.below(self.ordinary.len())],
                            _ => *id = self.mask,
                        }
                    }
                }
            }
            start = end;
        }
        hidden
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use splade_text::TokenizerOptions;
    use std::path::Path;

    /// Every rule is counted over many sequences; the allowed deviations are those of binomial
    /// draws.
    #[test]
    fn words_are_hidden_whole_and_in_their_shares() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../splade-text/tests/fixtures/bert-uncased");
        let tokenizer =
            Tokenizer::from_dir(&folder, &TokenizerOptions::default()).expect("a tokenizer");
        let masking = Masking::new(&tokenizer, 0.15, true).expect("a mask token");
        let pieces = |id: u32| tokenizer.token(id).is_some_and(|token| token.starts_with("##"));
        let original = tokenizer
            .encode("the night trains are unbelievably slow today", None)
            .expect("ids")
            .ids;
        assert!(original.iter().any(|id| pieces(*id)), "no word of several pieces");
        let ends = [0, original.len() - 1];
        let (mut drawn, mut masked, mut same) = (0_usize, 0_usize, 0_usize);
        let mut split = 0;
        for key in 0..4000 {
            let mut ids = original.clone();
            let hidden = masking.hide(&mut ids, &[key]);
            let again = masking.hide(&mut original.clone(), &[key]);
            assert_eq!(hidden, again, "the key decides");
            for (place, id) in &hidden {
                assert_eq!(original[*place], *id);
                drawn += 1;
                masked += usize::from(ids[*place] == masking.mask);
                same += usize::from(ids[*place] == *id);
                let alone = |place: usize| !hidden.iter().any(|(other, _)| *other == place);
                split += usize::from(pieces(*id) && alone(place - 1));
            }
            for place in (0..ids.len()).filter(|p| ids[*p] != original[*p]) {
                assert!(hidden.iter().any(|(hidden, _)| *hidden == place));
                assert!(!ends.contains(&place), "a special token is hidden");
            }
        }
        assert_eq!(split, 0, "a piece is hidden without its word");
        let near = |count: usize, of: usize, share: f64| {
            let (count, of) = (count as f64, of as f64);
            (count - share * of).abs() < 6.0 * (share * (1.0 - share) * of).sqrt() * 2.0
        };
        assert!(near(drawn, 4000 * (original.len() - 2), 0.15), "{drawn}");
        assert!(near(masked, drawn, 0.8) && near(same, drawn, 0.1), "{masked} {same} of {drawn}");
    }
}
