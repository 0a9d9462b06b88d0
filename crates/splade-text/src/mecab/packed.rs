//! A dictionary in one small file, without loss: the 250 MB of unidic-lite become 7 MB.
//!
//! # Format, versions 1 and 2
//!
//! All numbers are little-endian.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | magic `SPLMECAB` |
//! | 4 | version |
//! | 4 | CRC-32 of all that follows |
//! | per section: 4, 4, n | length unpacked, length packed, zstd frame |
//!
//! In version 2, section 3 is coded by `coded.rs` instead of zstd. It is smaller and takes longer to
//! read, which is right for a dictionary that is sent over a network ([`pack_smaller`]).
//!
//! The sections, in order:
//!
//! 1. sizes: left classes, right classes, right class of the start, left class of the end,
//!    surfaces, categories (u32 each);
//! 2. order and parent (u16 each) of the matrix rows, then of its columns;
//! 3. the matrix as differences (i16): in row order, each row minus its parent row; then, in column
//!    order, each of these columns minus its parent column. Parents follow a minimum spanning tree
//!    over the number of cells that differ, so that most differences are zero;
//! 4. surfaces in byte order: the number of bytes shared with the previous one (u8 each);
//! 5. surfaces: the remaining bytes of each, terminated by a zero byte;
//! 6. the number of tokens of each surface and of each category (u8 each);
//! 7. – 9. left classes (u16), right classes (u16) and costs (i16) of the tokens;
//! 10. the character table as runs: last code point (u32), value (u32).

use std::io::Read;

use super::coded;
use super::parts::{CHARS, MAX_SURFACES, Parts, Token};

pub(super) const MAGIC: &[u8; 8] = b"SPLMECAB";
pub(super) const VERSION: u32 = 1;
/// The version in which the matrix is coded.
const CODED_VERSION: u32 = 2;
/// No section of a real dictionary is larger (UniDic 3.1's matrix has 480 MB): a damaged length
/// must not ask for all memory.
pub(super) const MAX_SECTION: usize = 1 << 30;

/// Unpacks a dictionary.
pub(crate) fn unpack(file: &[u8]) -> Result<Parts, String> {
    let version = check(file)?;
    let mut sections = Sections { rest: &file[16..] };
    let sizes = u32s(&sections.next()?)?;
    let [lefts, rights, start_right, end_left, surfaces, categories] = sizes[..] else {
        return Err("the section of sizes has the wrong length".to_owned());
    };
    let (lefts, rights) = (lefts as usize, rights as usize);
    let class = |x: u32| u16::try_from(x).map_err(|_| "a context class is out of range".to_owned());
    let trees = u16s(&sections.next()?)?;
    let differences = match version {
        VERSION => u16s(&sections.next()?)?.into_iter().map(|x| x as i16).collect(),
        _ => {
            let (length, coded) = sections.frame()?;
            // A damaged file must not ask for all memory. A byte codes at most some 11,000 cells.
            let cells = lefts.checked_mul(rights).filter(|cells| *cells <= MAX_SECTION / 2);
            if cells.map(|cells| 2 * cells) != Some(length) || length >> 15 > coded.len() {
                return Err(WRONG_MATRIX.to_owned());
            }
            coded::decode(coded, lefts, rights)
        }
    };
    let matrix = unpack_matrix(&trees, &differences, lefts, rights)?;
    drop(differences);
    let (shared, rest) = (sections.next()?, sections.next()?);
    let (surfaces_bytes, surface_ends) = unpack_surfaces(&shared, &rest)?;
    let counts = sections.next()?;
    if surface_ends.len() != surfaces as usize
        || counts.len() != surface_ends.len() + categories as usize
    {
        return Err("the numbers of surfaces and of their counts differ".to_owned());
    }
    let (left, right, cost) =
        (u16s(&sections.next()?)?, u16s(&sections.next()?)?, u16s(&sections.next()?)?);
    if left.len() != right.len() || left.len() != cost.len() {
        return Err("the numbers of token classes and costs differ".to_owned());
    }
    let tokens = left.iter().zip(&right).zip(&cost);
    let tokens = tokens.map(|((left, right), cost)| Token {
        left: *left,
        right: *right,
        cost: *cost as i16,
    });
    let parts = Parts {
        matrix,
        right_classes: rights,
        start_right: class(start_right)?,
        end_left: class(end_left)?,
        surfaces: surfaces_bytes,
        surface_ends,
        counts,
        tokens: tokens.collect(),
        chars: unpack_chars(&u32s(&sections.next()?)?)?,
    };
    parts.check()?;
    Ok(parts)
}

/// Checks the beginning and the checksum of a file, and returns its version.
fn check(file: &[u8]) -> Result<u32, String> {
    if file.len() < 16 || &file[..8] != MAGIC {
        return Err("not a packed dictionary".to_owned());
    }
    let version = u32::from_le_bytes([file[8], file[9], file[10], file[11]]);
    if ![VERSION, CODED_VERSION].contains(&version) {
        return Err(format!(
            "the packed format has version {version}, but this program reads {VERSION} and \
             {CODED_VERSION}"
        ));
    }
    match crc32fast::hash(&file[16..]).to_le_bytes() == file[12..16] {
        true => Ok(version),
        false => Err("the file is damaged: its checksum does not match".to_owned()),
    }
}

/// Returns a packed dictionary in the version that is smaller and takes longer to read: 6.0 instead
/// of 6.8 MB for unidic-lite.
pub(crate) fn pack_smaller(file: &[u8]) -> Result<Vec<u8>, String> {
    if check(file)? == CODED_VERSION {
        return Ok(file.to_vec());
    }
    let mut sections = Sections { rest: &file[16..] };
    let start = sections.rest.len();
    let rights = u32s(&sections.next()?)?.get(1).map_or(0, |rights| *rights as usize);
    sections.next()?;
    let before = start - sections.rest.len();
    let differences = sections.next()?;
    let cells: Vec<i16> = u16s(&differences)?.into_iter().map(|x| x as i16).collect();
    if rights == 0 || !cells.len().is_multiple_of(rights) {
        return Err(WRONG_MATRIX.to_owned());
    }
    let coded = coded::encode(&cells, rights);
    if coded::decode(&coded, cells.len() / rights, rights) != cells {
        return Err("the coded matrix differs when it is read: this is a bug".to_owned());
    }
    let mut body = file[16..][..before].to_vec();
    body.extend((differences.len() as u32).to_le_bytes());
    body.extend((coded.len() as u32).to_le_bytes());
    body.extend(coded);
    body.extend_from_slice(sections.rest);
    let sum = crc32fast::hash(&body).to_le_bytes();
    Ok([&MAGIC[..], &CODED_VERSION.to_le_bytes(), &sum, &body].concat())
}

/// The message for a matrix that does not fit its classes.
const WRONG_MATRIX: &str = "the matrix has the wrong size";

/// The sections of a file, read one after another.
struct Sections<'a> {
    rest: &'a [u8],
}

impl<'a> Sections<'a> {
    /// Returns the length of the next section after unpacking, and its packed bytes.
    fn frame(&mut self) -> Result<(usize, &'a [u8]), String> {
        let cut_off = || "the file is cut off".to_owned();
        let lengths = u32s(self.rest.get(..8).ok_or_else(cut_off)?)?;
        let (unpacked, packed) = (lengths[0] as usize, lengths[1] as usize);
        let bytes = self.rest[8..].get(..packed).ok_or_else(cut_off)?;
        self.rest = &self.rest[8 + packed..];
        Ok((unpacked, bytes))
    }

    /// Unpacks the next section.
    fn next(&mut self) -> Result<Vec<u8>, String> {
        let (unpacked, bytes) = self.frame()?;
        if unpacked > MAX_SECTION {
            return Err(format!("a section has {unpacked} bytes, but the limit is {MAX_SECTION}"));
        }
        // Memory grows with what comes out, not with the length that the file claims.
        let section = unpack_frame(bytes, unpacked as u64 + 1)?;
        if section.len() != unpacked {
            return Err("a section does not have the stated length".to_owned());
        }
        Ok(section)
    }
}

/// The first bytes of a zstd frame, at most so many.
#[cfg(feature = "zstd")]
fn unpack_frame(frame: &[u8], most: u64) -> Result<Vec<u8>, String> {
    let mut unpacked = Vec::new();
    let decoder = zstd::Decoder::new(frame).map_err(|error| error.to_string())?;
    decoder.take(most).read_to_end(&mut unpacked).map_err(|error| error.to_string())?;
    Ok(unpacked)
}

/// The same without code in C, in two and a half times as long for unidic-lite.
#[cfg(any(not(feature = "zstd"), test))]
fn unpack_frame_in_rust(frame: &[u8], most: u64) -> Result<Vec<u8>, String> {
    let mut unpacked = Vec::new();
    let decoder = ruzstd::decoding::StreamingDecoder::new(frame);
    let decoder = decoder.map_err(|error| error.to_string())?;
    decoder.take(most).read_to_end(&mut unpacked).map_err(|error| error.to_string())?;
    Ok(unpacked)
}

#[cfg(not(feature = "zstd"))]
use unpack_frame_in_rust as unpack_frame;

fn unpack_matrix(
    trees: &[u16],
    differences: &[i16],
    lefts: usize,
    rights: usize,
) -> Result<Vec<i16>, String> {
    let wrong = || WRONG_MATRIX.to_owned();
    if lefts == 0 || rights == 0 || lefts > 1 << 16 || rights > 1 << 16 {
        return Err(wrong());
    }
    if trees.len() != 2 * (lefts + rights) || differences.len() != lefts * rights {
        return Err(wrong());
    }
    let (rows, columns) = trees.split_at(2 * lefts);
    let (row_order, row_parent) = rows.split_at(lefts);
    let (column_order, column_parent) = columns.split_at(rights);
    check_tree(row_order, row_parent)?;
    check_tree(column_order, column_parent)?;
    let mut matrix = vec![0i16; lefts * rights];
    let mut line = vec![0i16; rights];
    for (i, (row, source)) in row_order.iter().zip(differences.chunks_exact(rights)).enumerate() {
        for (j, (column, difference)) in column_order.iter().zip(source).enumerate() {
            let column = usize::from(*column);
            let parent = if j == 0 { 0 } else { line[usize::from(column_parent[column])] };
            line[column] = difference.wrapping_add(parent);
        }
        let row = usize::from(*row);
        if i > 0 {
            let parent = usize::from(row_parent[row]) * rights;
            for (x, parent) in line.iter_mut().zip(&matrix[parent..parent + rights]) {
                *x = x.wrapping_add(*parent);
            }
        }
        matrix[row * rights..(row + 1) * rights].copy_from_slice(&line);
    }
    Ok(matrix)
}

/// Checks that every line occurs once and after its parent.
fn check_tree(order: &[u16], parent: &[u16]) -> Result<(), String> {
    let mut done = vec![false; order.len()];
    for (i, line) in order.iter().map(|line| usize::from(*line)).enumerate() {
        let known = |line: usize| done.get(line).copied();
        if known(line) != Some(false) || (i > 0 && known(usize::from(parent[line])) != Some(true)) {
            return Err("the order of the matrix is damaged".to_owned());
        }
        done[line] = true;
    }
    Ok(())
}

/// Restores the surfaces and their end offsets.
fn unpack_surfaces(shared: &[u8], rest: &[u8]) -> Result<(Vec<u8>, Vec<u32>), String> {
    let mut surfaces: Vec<u8> = Vec::with_capacity(2 * rest.len());
    let mut ends = Vec::with_capacity(shared.len());
    let mut start = 0;
    let mut tails = rest.split(|byte| *byte == 0);
    for common in shared {
        let (tail, next) = (tails.next().ok_or("the surfaces are cut off")?, surfaces.len());
        let common = usize::from(*common);
        if start + common > next {
            return Err("a surface shares more bytes than the previous one has".to_owned());
        }
        surfaces.extend_from_within(start..start + common);
        surfaces.extend_from_slice(tail);
        if surfaces.len() > MAX_SURFACES {
            return Err(format!("the surfaces have more than {MAX_SURFACES} bytes"));
        }
        ends.push(surfaces.len() as u32);
        start = next;
    }
    Ok((surfaces, ends))
}

/// Restores the character table from its runs.
fn unpack_chars(runs: &[u32]) -> Result<Vec<u32>, String> {
    let mut chars = Vec::with_capacity(CHARS);
    for run in runs.chunks_exact(2) {
        if run[0] as usize >= CHARS {
            return Err("the character table is too long".to_owned());
        }
        chars.resize((run[0] as usize + 1).max(chars.len()), run[1]);
    }
    Ok(chars)
}

fn u16s(bytes: &[u8]) -> Result<Vec<u16>, String> {
    if !bytes.len().is_multiple_of(2) {
        return Err("a number is cut off".to_owned());
    }
    Ok(bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect())
}

fn u32s(bytes: &[u8]) -> Result<Vec<u32>, String> {
    if !bytes.len().is_multiple_of(4) {
        return Err("a number is cut off".to_owned());
    }
    Ok(bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mecab::pack::pack;
    use crate::mecab::{Dictionary, Lattice};
    use proptest::prelude::*;

    /// Both readers of frames give the same, and both stop where they are told.
    #[test]
    fn frames_are_read_alike() {
        let bytes: Vec<u8> = (0..300_000u32).flat_map(|i| (i / 7).to_le_bytes()).collect();
        for level in [1, 3, 22] {
            let frame = zstd::bulk::compress(&bytes, level).expect("packed");
            for most in [bytes.len() as u64 + 1, 1000] {
                let read = unpack_frame(&frame, most).expect("read");
                assert!(read == bytes[..bytes.len().min(most as usize)], "level {level}");
                assert!(read == unpack_frame_in_rust(&frame, most).expect("read"), "level {level}");
            }
        }
    }

    #[test]
    fn packing_loses_nothing() {
        let parts = Parts::sample();
        parts.check().expect("a valid dictionary");
        let packed = pack(&parts).expect("packed");
        let smaller = pack_smaller(&packed).expect("a packed dictionary");
        assert!(smaller != packed);
        assert_eq!(pack_smaller(&smaller).as_ref(), Ok(&smaller));
        for file in [packed, smaller] {
            assert_eq!(unpack(&file).as_ref(), Ok(&parts));
        }
    }

    #[test]
    fn the_cheapest_path_wins() {
        let dictionary = Dictionary::build(Parts::sample());
        let mut lattice = Lattice::default();
        let mut words = |text: &str| -> Vec<String> {
            lattice.words(&dictionary, text).iter().map(|w| text[w.clone()].to_owned()).collect()
        };
        assert_eq!(words("ab"), ["ab"]);
        assert_eq!(words("aab雨"), ["a", "ab", "雨"]);
        assert_eq!(words("axb"), ["a", "x", "b"]);
        assert_eq!(words("a\0b"), ["a"]);
        assert_eq!(words(""), Vec::<String>::new());
        // The text is long enough for final words to be dropped on the way.
        let long = "ab雨".repeat(200_000);
        assert_eq!(words(&long), ["ab", "雨"].repeat(200_000));
    }

    /// Returns a packed file in which one section is replaced and the checksum matches.
    fn with_section(number: usize, unpacked: u32, section: &[u8]) -> Vec<u8> {
        let mut rest = &pack(&Parts::sample()).expect("packed")[16..];
        let mut body = Vec::new();
        for i in 0..10 {
            let length = u32::from_le_bytes(rest[4..8].try_into().expect("4 bytes")) as usize;
            if i == number {
                let packed = zstd::bulk::compress(section, 3).expect("packed");
                body.extend(unpacked.to_le_bytes());
                body.extend((packed.len() as u32).to_le_bytes());
                body.extend(packed);
            } else {
                body.extend_from_slice(&rest[..8 + length]);
            }
            rest = &rest[8 + length..];
        }
        let sum = crc32fast::hash(&body).to_le_bytes();
        [&MAGIC[..], &VERSION.to_le_bytes(), &sum, &body].concat()
    }

    /// Covers lengths that do not match, and surfaces that share 255 bytes each: some hundred bytes
    /// must not become gigabytes.
    #[test]
    fn lengths_that_do_not_hold_are_errors() {
        let error = |file: &[u8]| unpack(file).expect_err("damaged");
        assert_eq!(
            error(&with_section(0, 1 << 30, &[0; 24])),
            "a section does not have the stated length"
        );
        assert_eq!(
            error(&with_section(0, 8, &[0; 24])),
            "a section does not have the stated length"
        );
        assert_eq!(
            error(&with_section(0, 1 << 31, &[0; 24])),
            "a section has 2147483648 bytes, but the limit is 1073741824"
        );
        let shares = [&[0][..], &[255; 2_000_000]].concat();
        let (first, others) = (vec![b'a'; 255], vec![0; 2_000_001]);
        let mut file = with_section(3, shares.len() as u32, &shares);
        let rest = [&first[..], &others].concat();
        let sections = with_section(4, rest.len() as u32, &rest);
        // The file gets sections 0 to 3 of one file and 4 to 9 of the other.
        let start = |file: &[u8], number: usize| {
            (0..number).fold(16, |at, _| {
                at + 8 + u32::from_le_bytes(file[at + 4..at + 8].try_into().expect("4")) as usize
            })
        };
        file.truncate(start(&file, 4));
        file.extend_from_slice(&sections[start(&sections, 4)..]);
        let sum = crc32fast::hash(&file[16..]).to_le_bytes();
        file[12..16].copy_from_slice(&sum);
        assert_eq!(error(&file), "the surfaces have more than 268435456 bytes");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn damaged_files_are_errors(at in 0usize..10_000, bit in 0u8..8, cut in 0usize..10_000,
            new in prop::collection::vec(any::<u8>(), 1..9)) {
            let mut good = pack(&Parts::sample()).expect("packed");
            if cut % 2 == 0 {
                good = pack_smaller(&good).expect("a packed dictionary");
            }
            let at = at % good.len();
            let mut flipped = good.clone();
            flipped[at] ^= 1 << bit;
            let mut longer = good.clone();
            longer.splice(at..at, new);
            for mut bad in [flipped, longer, good[..cut % good.len()].to_vec()] {
                prop_assert!(unpack(&bad).is_err() || bad == good);
                // With a matching checksum, the damage must still not cause a panic.
                if bad.len() >= 16 {
                    let sum = crc32fast::hash(&bad[16..]).to_le_bytes();
                    bad[12..16].copy_from_slice(&sum);
                    search(&bad);
                }
            }
        }

        /// Covers sections that can be unpacked but have the wrong contents.
        #[test]
        fn damaged_sections_do_no_harm(number in 0usize..10, at in any::<prop::sample::Index>(),
            value in any::<u8>(), cut in any::<Option<prop::sample::Index>>()) {
            let good = pack(&Parts::sample()).expect("packed");
            let mut sections = Sections { rest: &good[16..] };
            let mut section = Vec::new();
            for _ in 0..=number {
                section = sections.next().expect("a section");
            }
            let at = at.index(section.len());
            section[at] = value;
            if let Some(cut) = cut {
                section.truncate(cut.index(section.len()));
            }
            search(&with_section(number, section.len() as u32, &section));
        }
    }

    /// Searches the dictionary if the file can be unpacked.
    fn search(file: &[u8]) {
        if let Ok(parts) = unpack(file) {
            let dictionary = Dictionary::build(parts);
            Lattice::default().words(&dictionary, "ab aab雨 xあ🚂\u{ffff}b");
        }
    }
}
