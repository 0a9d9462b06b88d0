//! Reads a compiled MeCab dictionary: `sys.dic`, `unk.dic`, `char.bin` and `matrix.bin` of format
//! version 102, in UTF-8.
//!
//! `sys.dic` and `unk.dic` hold a double array (Aoe 1989) that maps surfaces to runs of tokens, 16
//! bytes each. `matrix.bin` holds the connection costs and `char.bin` the character categories.

use std::collections::HashMap;
use std::path::Path;

use super::parts::{CHARS, MAX_SURFACES, Parts, Token};
use crate::error::TextError;

/// The files of a dictionary folder that are read.
const FILES: [&str; 4] = ["sys.dic", "unk.dic", "char.bin", "matrix.bin"];
const MAGIC: u32 = 0xef71_8f77;
const VERSION: u32 = 102;
/// The length of the header of `sys.dic` and `unk.dic` in bytes.
const HEADER: usize = 72;
/// The length of a category name in `char.bin` in bytes.
const CATEGORY_NAME: usize = 32;
/// The length limit of a surface in bytes. MeCab's compiler reads lines of 8192 bytes, so a longer
/// surface is damage.
const MAX_SURFACE: usize = 8192;

/// Reads a dictionary folder.
pub(crate) fn read(dir: &Path) -> Result<Parts, TextError> {
    let file = |name: &str| {
        let path = dir.join(name);
        std::fs::read(&path).map_err(|source| TextError::Io { path, source })
    };
    let [system, unknown, chars, matrix] = FILES;
    let bytes = [file(system)?, file(unknown)?, file(chars)?, file(matrix)?];
    parse(&bytes).map_err(|(name, message)| TextError::Invalid { path: dir.join(name), message })
}

/// Parses the contents of [`FILES`]. An error comes with the name of its file.
fn parse([system, unknown, chars, matrix]: &[Vec<u8>; 4]) -> Result<Parts, (&'static str, String)> {
    let of = |file: usize| move |message: String| (FILES[file], message);
    let system = Words::parse(system).map_err(of(0))?;
    let unknown = Words::parse(unknown).map_err(of(1))?;
    let (names, chars) = parse_chars(chars).map_err(of(2))?;
    let matrix = Connections::parse(matrix).map_err(of(3))?;

    let mut surfaces = system.surfaces().map_err(of(0))?;
    surfaces.sort_unstable();
    let mut categories = unknown.surfaces().map_err(of(1))?;
    categories.sort_unstable();
    let all = system.tokens.iter().chain(&unknown.tokens);
    let classes = Classes::merge(&matrix, all).map_err(of(3))?;

    let mut parts = Parts {
        right_classes: classes.right_count,
        start_right: classes.right[0],
        end_left: classes.left[0],
        matrix: classes.matrix,
        chars,
        ..Parts::default()
    };
    let push = |tokens: &[Token], parts: &mut Parts| -> Result<(), String> {
        let first = parts.tokens.len();
        for token in tokens {
            let token = Token {
                left: classes.left[usize::from(token.left)],
                right: classes.right[usize::from(token.right)],
                cost: token.cost,
            };
            // Of tokens that share both classes, only the cheapest can win. Of equally cheap ones
            // the first wins, because the search meets it last.
            let same = |t: &Token| t.left == token.left && t.right == token.right;
            match parts.tokens[first..].iter().position(same) {
                None => parts.tokens.push(token),
                Some(at) if token.cost < parts.tokens[first + at].cost => {
                    parts.tokens.remove(first + at);
                    parts.tokens.push(token);
                }
                Some(_) => {}
            }
        }
        let count = parts.tokens.len() - first;
        parts
            .counts
            .push(u8::try_from(count).map_err(|_| format!("a surface has {count} tokens"))?);
        Ok(())
    };
    for (surface, run) in &surfaces {
        let tokens = system.run(*run).map_err(of(0))?;
        push(tokens, &mut parts).map_err(of(0))?;
        parts.surfaces.extend_from_slice(surface);
        parts.surface_ends.push(parts.surfaces.len() as u32);
    }
    for name in &names {
        let found = categories.iter().find(|(surface, _)| surface == name);
        let (_, run) = found.ok_or_else(|| {
            of(1)(format!("category {} has no unknown words", String::from_utf8_lossy(name)))
        })?;
        let tokens = unknown.run(*run).map_err(of(1))?;
        push(tokens, &mut parts).map_err(of(1))?;
    }
    parts.check().map_err(of(0))?;
    Ok(parts)
}

/// The contents of `sys.dic` or `unk.dic`.
struct Words {
    /// The base and the check of each unit of the double array.
    units: Vec<(i32, u32)>,
    tokens: Vec<Token>,
}

impl Words {
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() < HEADER || (u32_at(bytes, 0) ^ MAGIC) as usize != bytes.len() {
            return Err("not a compiled MeCab dictionary, or the file is cut off".to_owned());
        }
        if u32_at(bytes, 4) != VERSION {
            return Err(format!(
                "format version {} is not supported, only {VERSION}",
                u32_at(bytes, 4)
            ));
        }
        let charset = String::from_utf8_lossy(&bytes[40..HEADER]);
        let charset = charset.trim_end_matches('\0').to_ascii_lowercase();
        if charset != "utf8" && charset != "utf-8" {
            return Err(format!(
                "the dictionary is in {charset}; compile it in UTF-8 (mecab-dict-index -t utf-8)"
            ));
        }
        let (units, tokens) = (u32_at(bytes, 24) as usize, u32_at(bytes, 28) as usize);
        let body = &bytes[HEADER..];
        let (Some(units), Some(tokens)) =
            (body.get(..units), body.get(units..units.saturating_add(tokens)))
        else {
            return Err("the sections extend past the end of the file".to_owned());
        };
        Ok(Self {
            units: units.chunks_exact(8).map(|u| (u32_at(u, 0) as i32, u32_at(u, 4))).collect(),
            tokens: tokens
                .chunks_exact(16)
                .map(|t| Token {
                    left: u16_at(t, 0),
                    right: u16_at(t, 2),
                    cost: u16_at(t, 6) as i16,
                })
                .collect(),
        })
    }

    /// Returns all surfaces with their runs of tokens, in arbitrary order.
    fn surfaces(&self) -> Result<Vec<(Vec<u8>, u32)>, String> {
        // A unit `base + byte + 1` whose check is `base` is a child of the unit with that base. The
        // unit `base` itself ends a surface and holds the negated run of its tokens.
        let mut followers: HashMap<u32, Vec<u32>> = HashMap::new();
        for (i, (base, check)) in self.units.iter().enumerate().skip(1) {
            if *check != 0 || *base != 0 {
                followers.entry(*check).or_default().push(i as u32);
            }
        }
        let root = self.units.first().ok_or("the double array is empty")?.0 as u32;
        let mut surfaces = Vec::new();
        // The traversal is depth first. An entry has the base of a unit, its last byte and the
        // length of its surface.
        let mut open = vec![(root, 0u8, 0usize)];
        let mut surface = Vec::new();
        let (mut steps, mut bytes) = (0, 0);
        while let Some((base, byte, length)) = open.pop() {
            steps += 1;
            if steps > self.units.len() {
                return Err("the double array has a cycle".to_owned());
            }
            if length > 0 {
                surface.truncate(length - 1);
                surface.push(byte);
            }
            if let Some((value, check)) = self.units.get(base as usize)
                && *check == base
                && *value < 0
            {
                bytes += length;
                if bytes > MAX_SURFACES {
                    return Err(format!("the surfaces have more than {MAX_SURFACES} bytes"));
                }
                surfaces.push((surface.clone(), (-(i64::from(*value)) - 1) as u32));
            }
            for unit in followers.get(&base).into_iter().flatten() {
                let next = self.units[*unit as usize].0;
                let byte = i64::from(*unit) - i64::from(base) - 1;
                if let Ok(byte) = u8::try_from(byte)
                    && next >= 0
                {
                    if length == MAX_SURFACE {
                        return Err(format!("a surface has more than {MAX_SURFACE} bytes"));
                    }
                    open.push((next as u32, byte, length + 1));
                }
            }
        }
        Ok(surfaces)
    }

    /// Returns the tokens of a surface.
    fn run(&self, run: u32) -> Result<&[Token], String> {
        let (start, count) = ((run >> 8) as usize, (run & 0xff) as usize);
        self.tokens
            .get(start..start + count)
            .ok_or_else(|| "a run of tokens extends past the end".to_owned())
    }
}

/// The names of the categories, and the character table.
type Chars = (Vec<Vec<u8>>, Vec<u32>);

fn parse_chars(bytes: &[u8]) -> Result<Chars, String> {
    let cut_off = || "the file is cut off".to_owned();
    let count = bytes.get(..4).map(|b| u32_at(b, 0) as usize).ok_or_else(cut_off)?;
    if count > 32 {
        return Err(format!("the file has {count} categories, but the limit is 32"));
    }
    let names = bytes.get(4..4 + count * CATEGORY_NAME).ok_or_else(cut_off)?;
    let names = names
        .chunks_exact(CATEGORY_NAME)
        .map(|name| name.split(|byte| *byte == 0).next().unwrap_or_default().to_vec())
        .collect();
    let table = &bytes[4 + count * CATEGORY_NAME..];
    let mut chars: Vec<u32> = table.chunks_exact(4).take(CHARS).map(|c| u32_at(c, 0)).collect();
    if chars.len() < CHARS - 1 {
        return Err(cut_off());
    }
    // The table ends before U+FFFF, where MeCab reads zeros.
    chars.resize(CHARS, 0);
    Ok((names, chars))
}

/// The contents of `matrix.bin`:
/// `costs[right class of the first + rights · left class of the second]`.
struct Connections {
    rights: usize,
    lefts: usize,
    costs: Vec<i16>,
}

impl Connections {
    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let sizes = bytes.get(..4).ok_or("the file is cut off")?;
        let (rights, lefts) = (usize::from(u16_at(sizes, 0)), usize::from(u16_at(sizes, 2)));
        let costs: Vec<i16> = bytes[4..].chunks_exact(2).map(|c| u16_at(c, 0) as i16).collect();
        if rights == 0 || lefts == 0 || costs.len() != rights * lefts {
            return Err(format!("the matrix has {} costs, not {rights} x {lefts}", costs.len()));
        }
        Ok(Self { rights, lefts, costs })
    }
}

/// The context classes after equal ones have been merged.
struct Classes {
    /// The new class of each old one, or `u16::MAX` if no token has it.
    left: Vec<u16>,
    right: Vec<u16>,
    right_count: usize,
    matrix: Vec<i16>,
}

impl Classes {
    fn merge<'a>(
        connections: &Connections,
        tokens: impl Iterator<Item = &'a Token>,
    ) -> Result<Self, String> {
        let Connections { rights, lefts, costs } = connections;
        let (mut left_used, mut right_used) = (vec![false; *lefts], vec![false; *rights]);
        // Class 0 belongs to the start and the end of a text.
        (left_used[0], right_used[0]) = (true, true);
        for token in tokens {
            let left = left_used.get_mut(usize::from(token.left));
            let right = right_used.get_mut(usize::from(token.right));
            let (Some(left), Some(right)) = (left, right) else {
                return Err("a token has a class that the matrix does not have".to_owned());
            };
            (*left, *right) = (true, true);
        }
        let row = |left: usize| costs[left * rights..(left + 1) * rights].to_vec();
        let (left, rows) = distinct(&left_used, row);
        let column = |right: usize| rows.iter().map(|left| costs[left * rights + right]).collect();
        let (right, columns) = distinct(&right_used, column);
        let matrix = rows
            .iter()
            .flat_map(|left| columns.iter().map(move |right| costs[left * rights + right]))
            .collect();
        Ok(Self { left, right, right_count: columns.len(), matrix })
    }
}

/// Numbers the used lines so that equal ones share a number. Also returns the first line of each
/// number.
fn distinct(used: &[bool], line: impl Fn(usize) -> Vec<i16>) -> (Vec<u16>, Vec<usize>) {
    let mut numbers = HashMap::new();
    let mut firsts = Vec::new();
    let map = used.iter().enumerate().map(|(i, used)| {
        if !used {
            return u16::MAX;
        }
        *numbers.entry(line(i)).or_insert_with(|| {
            firsts.push(i);
            (firsts.len() - 1) as u16
        })
    });
    let map = map.collect();
    (map, firsts)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mecab::tests::{segment, small_dictionary};
    use crate::mecab::{Dictionary, Lattice};
    use proptest::prelude::*;

    #[test]
    fn other_charsets_and_versions_are_named() {
        let good = small_dictionary(FILES);
        let mut euc = good.clone();
        euc[0][40..HEADER].fill(0);
        euc[0][40..46].copy_from_slice(b"EUC-JP");
        let (file, message) = parse(&euc).expect_err("EUC-JP");
        assert!(file == "sys.dic" && message.contains("euc-jp"), "{file}: {message}");
        let mut old = good;
        old[1][4] = 101;
        let (file, message) = parse(&old).expect_err("an old version");
        assert!(file == "unk.dic" && message.contains("101"), "{file}: {message}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// Checks that a damaged dictionary is an error or, if the damage cannot be detected, is
        /// searched without a panic.
        #[test]
        fn damaged_files_do_no_harm(
            file in 0usize..4,
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            cut in any::<Option<prop::sample::Index>>(),
        ) {
            let mut files = small_dictionary(FILES);
            for (at, byte) in damage {
                let at = at.index(files[file].len());
                files[file][at] = byte;
            }
            if let Some(cut) = cut {
                let length = cut.index(files[file].len());
                files[file].truncate(length);
                // The length field is corrected, so that the code after its check is reached.
                if file < 2 && length >= HEADER {
                    files[file][..4].copy_from_slice(&(length as u32 ^ MAGIC).to_le_bytes());
                }
            }
            if let Ok(parts) = parse(&files) {
                let dictionary = Dictionary::build(parts);
                segment(&mut Lattice::default(), &dictionary, "ab AB 01 あいう雨列車🚂\u{ffff}高");
            }
        }
    }
}
