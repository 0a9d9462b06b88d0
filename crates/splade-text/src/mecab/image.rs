//! A dictionary laid out for searching as one contiguous image, in memory or in a mapped file.
//!
//! Surfaces are stored in a trie over characters, whose edges are in an open-addressing hash table;
//! the first characters have a table of their own. The layout is native to the machine and is never
//! copied to another one; see [`super::cache`].

use std::borrow::Cow;

use super::parts::{CHARS, CharInfo, Parts, Token};

/// The number of code points in the table of first characters: three planes. Surfaces that start
/// with a later code point are found in the hash table.
const ROOTS: usize = 0x3_0000;
/// The key of an empty slot, which is larger than any node number.
const EMPTY: u32 = u32::MAX;

/// The number of integers at the start of an image, 8 bytes each.
const HEADER: usize = 8;

/// A dictionary that can be searched.
#[derive(Debug)]
pub(crate) struct Dictionary(Memory);

/// The memory that holds the image. Where it was built, its parts stay as they were made, since
/// joining them would take the memory of all of them once more.
enum Memory {
    Owned(Owned),
    Mapped(memmap2::Mmap, Sections),
}

/// The parts of an image.
struct Owned {
    header: [u64; HEADER],
    chars: Vec<u32>,
    trie: Trie,
    tokens: Vec<StoredToken>,
    categories: Vec<u32>,
    matrix: Vec<i16>,
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Memory::Owned(_) => "Owned",
            Memory::Mapped(..) => "Mapped",
        })
    }
}

/// The sizes of an image's parts and their offsets in bytes.
#[derive(Debug, Clone, Copy)]
struct Sections {
    right_classes: usize,
    start_right: u16,
    end_left: u16,
    chars: usize,
    roots: usize,
    slots: (usize, usize),
    tokens: (usize, usize),
    categories: (usize, usize),
    matrix: (usize, usize),
    end: usize,
}

/// An edge of the trie: the node, the character, and the child that they lead to.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Slot {
    node: u32,
    character: u32,
    child: u32,
    /// The tokens of the surface that ends here: the first token times 256 plus their number.
    run: u32,
}

/// A token as stored in an image.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct StoredToken {
    left: u16,
    right: u16,
    cost: i16,
    unused: u16,
}

impl Dictionary {
    /// Lays out a checked dictionary in memory.
    pub(crate) fn build(parts: Parts) -> Self {
        let trie = Trie::build(&parts);
        let mut first = 0u32;
        let runs = parts.counts.iter().map(|count| {
            let run = first << 8 | u32::from(*count);
            first += u32::from(*count);
            run
        });
        let categories: Vec<u32> = runs.skip(parts.surface_ends.len()).collect();
        let tokens = parts.tokens.iter().map(|t| {
            let Token { left, right, cost } = *t;
            StoredToken { left, right, cost, unused: 0 }
        });
        let tokens: Vec<StoredToken> = tokens.collect();
        let header = [
            parts.right_classes,
            usize::from(parts.start_right),
            usize::from(parts.end_left),
            trie.slots.len(),
            tokens.len(),
            categories.len(),
            parts.matrix.len(),
            0,
        ];
        let header = header.map(|x| x as u64);
        let Parts { chars, matrix, .. } = parts;
        Self(Memory::Owned(Owned { header, chars, trie, tokens, categories, matrix }))
    }

    /// Returns the image, which may be written to a file.
    pub(crate) fn bytes(&self) -> Cow<'_, [u8]> {
        let owned = match &self.0 {
            Memory::Owned(owned) => owned,
            Memory::Mapped(map, _) => return Cow::Borrowed(map),
        };
        let sections =
            Sections::of(&owned.header).expect("the sections fit into memory: this is a bug");
        let mut bytes = vec![0; sections.end.next_multiple_of(8)];
        let mut put = |at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
        put(0, bytemuck::cast_slice(&owned.header));
        put(sections.chars, bytemuck::cast_slice(&owned.chars));
        put(sections.roots, bytemuck::cast_slice(&owned.trie.roots));
        put(sections.slots.0, bytemuck::cast_slice(&owned.trie.slots));
        put(sections.tokens.0, bytemuck::cast_slice(&owned.tokens));
        put(sections.categories.0, bytemuck::cast_slice(&owned.categories));
        put(sections.matrix.0, bytemuck::cast_slice(&owned.matrix));
        Cow::Owned(bytes)
    }

    /// Returns the dictionary of a mapped image, or `None` if the sizes in its header do not match
    /// the file. The caller has to ensure that the contents are those that were written.
    pub(crate) fn mapped(map: memmap2::Mmap) -> Option<Self> {
        let header = map.get(..HEADER * 8)?;
        let header: &[u64] = bytemuck::try_cast_slice(header).ok()?;
        let sections = Sections::of(header)?;
        if map.len() != sections.end.next_multiple_of(8) {
            return None;
        }
        Some(Self(Memory::Mapped(map, sections)))
    }

    /// Returns a view of the dictionary for one search.
    pub(crate) fn view(&self) -> View<'_> {
        let (bytes, s) = match &self.0 {
            Memory::Mapped(map, sections) => (&map[..], sections),
            Memory::Owned(owned) => return owned.view(),
        };
        View {
            chars: bytemuck::cast_slice(&bytes[s.chars..][..CHARS * 4]),
            roots: bytemuck::cast_slice(&bytes[s.roots..][..ROOTS * 8]),
            slots: bytemuck::cast_slice(&bytes[s.slots.0..][..s.slots.1 * 16]),
            tokens: bytemuck::cast_slice(&bytes[s.tokens.0..][..s.tokens.1 * 8]),
            categories: bytemuck::cast_slice(&bytes[s.categories.0..][..s.categories.1 * 4]),
            matrix: bytemuck::cast_slice(&bytes[s.matrix.0..][..s.matrix.1 * 2]),
            right_classes: s.right_classes,
            start_right: s.start_right,
            end_left: s.end_left,
        }
    }
}

impl Owned {
    fn view(&self) -> View<'_> {
        let [right_classes, start_right, end_left, ..] = self.header;
        View {
            chars: &self.chars,
            roots: &self.trie.roots,
            slots: &self.trie.slots,
            tokens: &self.tokens,
            categories: &self.categories,
            matrix: &self.matrix,
            right_classes: right_classes as usize,
            start_right: start_right as u16,
            end_left: end_left as u16,
        }
    }
}

impl Sections {
    /// Computes the offsets of the parts from the header, or returns `None` if a size is out of
    /// range.
    fn of(header: &[u64]) -> Option<Self> {
        let size = |i: usize| usize::try_from(header[i]).ok().filter(|_| header[i] < 1 << 32);
        let class = |i: usize| u16::try_from(header[i]).ok();
        let mut at = HEADER * 8;
        let mut place = |count: usize, width: usize| {
            let start = at;
            at = (at + count * width).next_multiple_of(64);
            (start, count)
        };
        let chars = place(CHARS, 4).0;
        let roots = place(ROOTS, 8).0;
        let slots = place(size(3)?, 16);
        let tokens = place(size(4)?, 8);
        let categories = place(size(5)?, 4);
        let matrix = place(size(6)?, 2);
        Some(Self {
            right_classes: size(0)?,
            start_right: class(1)?,
            end_left: class(2)?,
            chars,
            roots,
            slots,
            tokens,
            categories,
            matrix,
            end: at,
        })
    }
}

/// The parts of a dictionary as slices for a search.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    chars: &'a [u32],
    roots: &'a [[u32; 2]],
    slots: &'a [Slot],
    tokens: &'a [StoredToken],
    categories: &'a [u32],
    matrix: &'a [i16],
    right_classes: usize,
    pub(crate) start_right: u16,
    pub(crate) end_left: u16,
}

/// The tokens of one surface: the first token times 256 plus their number.
pub(crate) type Run = u32;

impl<'a> View<'a> {
    /// Returns the class of a code point. Code points past the table have the class of U+0000.
    pub(crate) fn char_info(&self, character: u32) -> CharInfo {
        CharInfo(self.chars[if character < CHARS as u32 { character as usize } else { 0 }])
    }

    /// Returns the unknown words that a character of the given class may start.
    pub(crate) fn unknown(&self, class: CharInfo) -> Run {
        self.categories[class.default_category()]
    }

    /// Returns the tokens of a run.
    pub(crate) fn tokens(&self, run: Run) -> impl DoubleEndedIterator<Item = Token> + use<'a> {
        let (start, count) = ((run >> 8) as usize, (run & 0xff) as usize);
        let stored = self.tokens[start..start + count].iter();
        stored.map(|t| Token { left: t.left, right: t.right, cost: t.cost })
    }

    /// Returns the costs of a left class, indexed by the right class of the previous word.
    pub(crate) fn connections(&self, left: u16) -> &'a [i16] {
        &self.matrix[usize::from(left) * self.right_classes..][..self.right_classes]
    }

    /// Calls `found(run, end)` for every surface that starts at `start`, shortest first, where
    /// `end` is its end in `text`. Surfaces end at `limit` at the latest.
    pub(crate) fn prefixes(
        &self,
        text: &str,
        start: usize,
        limit: usize,
        mut found: impl FnMut(Run, usize),
    ) {
        let mut node = 0;
        for (offset, character) in text[start..].char_indices() {
            if start + offset >= limit {
                return;
            }
            let step = match node {
                0 if (character as usize) < ROOTS => {
                    let [child, run] = self.roots[character as usize];
                    Some((child, run))
                }
                _ => self.step(node, character as u32),
            };
            let Some((child, run)) = step.filter(|(child, _)| *child != 0) else { return };
            node = child;
            if run != 0 {
                found(run, start + offset + character.len_utf8());
            }
        }
    }

    /// Returns the child and the run of an edge, or `None` if there is no such edge.
    fn step(&self, node: u32, character: u32) -> Option<(u32, u32)> {
        let mut at = hash(node, character, self.slots.len());
        loop {
            let slot = &self.slots[at];
            if slot.node == node && slot.character == character {
                return Some((slot.child, slot.run));
            }
            if slot.node == EMPTY {
                return None;
            }
            at = if at + 1 == self.slots.len() { 0 } else { at + 1 };
        }
    }
}

/// Returns the slot of a node and a character by Fibonacci hashing.
fn hash(node: u32, character: u32, slots: usize) -> usize {
    let key = u64::from(node) << 32 | u64::from(character);
    let mixed = (key ^ key >> 29).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (((mixed >> 32) * slots as u64) >> 32) as usize
}

/// The trie of the surfaces.
struct Trie {
    roots: Vec<[u32; 2]>,
    slots: Vec<Slot>,
}

impl Trie {
    fn build(parts: &Parts) -> Self {
        // Surfaces are in byte order, so those below a node are contiguous, and the path to the
        // last surface is all that has to be kept. A node is (parent, character, run); node 0 is
        // the root.
        let mut nodes: Vec<(u32, char, u32)> = vec![(0, '\0', 0)];
        let mut path: Vec<(u32, usize)> = vec![(0, 0)];
        let mut before: &[u8] = &[];
        let mut first = 0u32;
        for (surface, count) in parts.surfaces().zip(&parts.counts) {
            let shared = surface.iter().zip(before).take_while(|(a, b)| a == b).count();
            while path.last().is_some_and(|(_, end)| *end > shared) {
                path.pop();
            }
            let start = path.last().map_or(0, |(_, end)| *end);
            let rest = std::str::from_utf8(&surface[start..]);
            let rest = rest.expect("surfaces were checked to be UTF-8: this is a bug");
            for (offset, character) in rest.char_indices() {
                let parent = path.last().map_or(0, |(node, _)| *node);
                path.push((nodes.len() as u32, start + offset + character.len_utf8()));
                nodes.push((parent, character, 0));
            }
            let last = path.last().map_or(0, |(node, _)| *node) as usize;
            nodes[last].2 = first << 8 | u32::from(*count);
            first += u32::from(*count);
            before = surface;
        }
        let empty = Slot { node: EMPTY, character: 0, child: 0, run: 0 };
        let mut slots = vec![empty; (nodes.len() * 8 / 5).max(8)];
        let mut roots = vec![[0, 0]; ROOTS];
        for (child, (parent, character, run)) in nodes.into_iter().enumerate().skip(1) {
            let (child, character) = (child as u32, character as u32);
            if parent == 0
                && let Some(root) = roots.get_mut(character as usize)
            {
                *root = [child, run];
                continue;
            }
            let mut at = hash(parent, character, slots.len());
            while slots[at].node != EMPTY {
                at = (at + 1) % slots.len();
            }
            slots[at] = Slot { node: parent, character, child, run };
        }
        Self { roots, slots }
    }
}
