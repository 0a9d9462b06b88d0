//! The language of a text, as far as its script tells it.

/// The weight of a Chinese, Japanese or Korean character: it holds about as much as this many
/// letters of an alphabet.
const CJK_WEIGHT: usize = 3;

/// Characters of everyday Chinese that Japanese does not use.
const CHINESE: &str = "这们说对让还没过给吗么您哪谁這們說還沒給嗎麼哪誰";

/// A language and whether a character is of its script.
type Script = (&'static str, fn(char) -> bool);

/// The scripts with the language that is assumed for each.
const SCRIPTS: [Script; 7] = [
    ("ko", |c| matches!(c, '\u{1100}'..='\u{11ff}' | '\u{ac00}'..='\u{d7a3}')),
    ("ar", |c| matches!(c, '\u{600}'..='\u{6ff}' | '\u{750}'..='\u{77f}')),
    ("he", |c| matches!(c, '\u{590}'..='\u{5ff}')),
    ("ru", |c| matches!(c, '\u{400}'..='\u{4ff}')),
    ("el", |c| matches!(c, '\u{370}'..='\u{3ff}')),
    ("th", |c| matches!(c, '\u{e00}'..='\u{e7f}')),
    ("hi", |c| matches!(c, '\u{900}'..='\u{97f}')),
];

/// Returns the language tag (BCP 47) for a text: the language that its script is mostly used for, so
/// that a browser picks the right glyphs and a screen reader the right voice.
///
/// Letters of the Latin alphabet count as English, and Chinese characters as Japanese unless some of
/// them are used in Chinese alone. `assets/common.js` has the same rule.
///
/// ```
/// assert_eq!(splade_page::language_of("日本の首都"), "ja");
/// assert_eq!(splade_page::language_of("The capital of Japan"), "en");
/// ```
pub fn language_of(text: &str) -> &'static str {
    let is_kana = |c: &char| matches!(c, '\u{3040}'..='\u{30ff}' | '\u{ff66}'..='\u{ff9f}');
    let is_han = |c: &char| matches!(c, '\u{3400}'..='\u{9fff}' | '\u{20000}'..='\u{323af}' | '々');
    let count = |is: &dyn Fn(char) -> bool| text.chars().filter(|c| is(*c)).count();
    let kana = count(&|c| is_kana(&c));
    let cjk = CJK_WEIGHT * (kana + count(&|c| is_han(&c)));
    let is_chinese = kana == 0 && text.chars().any(|c| CHINESE.contains(c));
    let others = SCRIPTS.map(|(language, is)| {
        let weight = if language == "ko" { CJK_WEIGHT } else { 1 };
        (weight * count(&is), language)
    });
    let latin = count(&|c| c.is_alphabetic() && c < '\u{250}');
    let all = [(latin, "en"), (cjk, if is_chinese { "zh" } else { "ja" })];
    // The first of equal counts wins.
    let counts = all.into_iter().chain(others).rev();
    counts.max_by_key(|(letters, _)| *letters).map_or("en", |(_, language)| language)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_follow_the_script() {
        for (text, language) in [
            ("", "en"),
            ("2025 !?", "en"),
            ("The night train", "en"),
            ("東京", "ja"),
            ("ﾃﾚﾋﾞ", "ja"),
            ("これは light-splade です", "ja"),
            ("light-splade is read as ライト", "en"),
            ("这是一个问题", "zh"),
            ("서울은 대한민국의 수도", "ko"),
            ("مرحبا بالعالم", "ar"),
            ("שלום", "he"),
            ("Привет", "ru"),
            ("Αθήνα", "el"),
            ("กรุงเทพ", "th"),
            ("दिल्ली", "hi"),
        ] {
            assert_eq!(language_of(text), language, "{text}");
        }
    }
}
