//! The one-best path through the lattice of words: MeCab 0.996's search, result for result.
//!
//! At every position where a word ends, the words that start there (known ones and unknown runs
//! of a character category) are joined to the cheapest word before. Ties go as in MeCab: the word
//! that was joined last is looked at first, and only a strictly smaller cost wins.
//!
//! Memory does not grow with the text: now and then the paths that are still open are followed
//! back to the word they share, everything before it is final, and what no open path needs is
//! dropped.

use std::collections::BTreeSet;
use std::ops::Range;

use super::image::{Dictionary, Run, View};
use super::parts::CharInfo;

/// Runs of unknown characters are grouped up to this many.
const MAX_GROUPING: usize = 24;
/// MeCab keeps lengths in 16 bits: it looks no further than this from one position.
const MAX_REACH: usize = 65_535;
/// Words kept before those that are final are dropped.
const KEPT_WORDS: usize = 1 << 18;
/// Positions whose buffers are kept for the next text.
const KEPT_POSITIONS: usize = 1 << 20;
const NONE: u32 = u32::MAX;

/// A word in the lattice.
#[derive(Clone, Copy)]
struct Node {
    before: u32,
    start: u32,
    end: u32,
}

/// An entry of the list of words that end at one position.
#[derive(Clone, Copy)]
struct End {
    node: u32,
    /// Right class of the word.
    right: u16,
    /// Cost of the cheapest path that ends with it.
    cost: i64,
    next: u32,
}

/// A word that may start at the current position.
#[derive(Clone, Copy)]
struct Candidate {
    run: Run,
    end: usize,
}

/// Buffers of a search, kept from text to text.
#[derive(Default)]
pub(crate) struct Lattice {
    nodes: Vec<Node>,
    ends: Vec<End>,
    /// First entry of the list of each position.
    heads: Vec<u32>,
    candidates: Vec<Candidate>,
    /// For the current position, by left class: the cheapest word before, and its cost.
    joined: Vec<(u32, u32, i64)>,
    epoch: u32,
    /// How many words may be kept before the next look for final ones.
    room: usize,
    words: Vec<Range<usize>>,
}

impl Lattice {
    /// The words of a text as byte ranges, without the blanks between them. A NUL ends the text,
    /// as MeCab reads a C string. A text is of less than 4 GB.
    pub(crate) fn words(&mut self, dictionary: &Dictionary, text: &str) -> &[Range<usize>] {
        let text = text.split('\0').next().unwrap_or_default();
        let view = dictionary.view();
        let length = text.len();
        self.reset(length, view.start_right);
        let blank = view.char_info(u32::from(b' '));
        let mut last = 0;
        for position in 0..length {
            if self.heads[position] == NONE {
                continue;
            }
            last = position;
            if self.nodes.len() > self.room {
                self.drop_final(position);
                // Where many paths stay open the next look comes later: the cost stays linear.
                self.room = KEPT_WORDS.max(2 * self.nodes.len());
            }
            let start = self.find_candidates(&view, text, position, blank);
            self.join(&view, position, start);
        }
        if self.heads[length] != NONE {
            last = length;
        }
        let (mut node, _) = self.cheapest(view.connections(view.end_left), last);
        let done = self.words.len();
        while node != 0 && node != NONE {
            let Node { before, start, end } = self.nodes[node as usize];
            self.words.push(start as usize..end as usize);
            node = before;
        }
        self.words[done..].reverse();
        &self.words
    }

    /// Gives the memory of a large text back.
    pub(crate) fn shrink(&mut self) {
        if self.heads.capacity() > KEPT_POSITIONS {
            *self = Self::default();
        }
    }

    fn reset(&mut self, length: usize, start_right: u16) {
        self.room = KEPT_WORDS;
        self.nodes.clear();
        self.ends.clear();
        self.words.clear();
        self.heads.clear();
        self.heads.resize(length + 1, NONE);
        self.nodes.push(Node { before: NONE, start: 0, end: 0 });
        self.ends.push(End { node: 0, right: start_right, cost: 0, next: NONE });
        self.heads[0] = 0;
    }

    /// Fills `candidates`, in the order in which MeCab inserts them; where their words start,
    /// after blanks.
    fn find_candidates(
        &mut self,
        view: &View<'_>,
        text: &str,
        position: usize,
        blank: CharInfo,
    ) -> usize {
        let bytes = text.as_bytes();
        let limit = (position + MAX_REACH).min(text.len());
        let candidates = &mut self.candidates;
        candidates.clear();

        let (mut start, mut class) = (position, blank);
        let (mut first, mut width) = (CharInfo(0), 0);
        while start != limit {
            (first, width) = char_info(view, bytes, start, limit);
            if !class.shares(first) {
                break;
            }
            start += width;
            class = first;
        }
        view.prefixes(text, start, limit, |run, end| candidates.push(Candidate { run, end }));
        if !candidates.is_empty() && !first.always() {
            return start;
        }

        let run = view.unknown(first);
        let after_first = start + width;
        if after_first > limit {
            candidates.push(Candidate { run, end: after_first });
            return start;
        }
        let mut group_end = usize::MAX;
        if first.groups() {
            // A longer run than MAX_GROUPING makes no word, so there is no need to walk on.
            let (mut end, mut count, mut class) = (after_first, 0, first);
            while end != limit && count <= MAX_GROUPING {
                let (next, width) = char_info(view, bytes, end, limit);
                if !class.shares(next) {
                    break;
                }
                end += width;
                count += 1;
                class = next;
            }
            if count <= MAX_GROUPING {
                candidates.push(Candidate { run, end });
            }
            group_end = end;
        }
        let mut end = after_first;
        for _ in 0..first.max_len() {
            if end > limit {
                break;
            }
            if end == group_end {
                continue;
            }
            candidates.push(Candidate { run, end });
            let (next, width) = char_info(view, bytes, end, limit);
            if !first.shares(next) {
                break;
            }
            end += width;
        }
        if candidates.is_empty() {
            candidates.push(Candidate { run, end });
        }
        start
    }

    /// Joins the candidates to the cheapest words that end at `position`.
    fn join(&mut self, view: &View<'_>, position: usize, start: usize) {
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            // What was noted four billion positions ago must not look new.
            self.joined.clear();
            self.epoch = 1;
        }
        let candidates = std::mem::take(&mut self.candidates);
        // MeCab walks the words from the one inserted last to the first.
        for candidate in candidates.iter().rev() {
            for token in view.tokens(candidate.run).rev() {
                let left = usize::from(token.left);
                if self.joined.len() <= left {
                    self.joined.resize(left + 1, (0, NONE, 0));
                }
                if self.joined[left].0 != self.epoch {
                    let (before, cost) = self.cheapest(view.connections(token.left), position);
                    self.joined[left] = (self.epoch, before, cost);
                }
                let (_, before, cost) = self.joined[left];
                let node = self.nodes.len() as u32;
                self.nodes.push(Node { before, start: start as u32, end: candidate.end as u32 });
                if let Some(head) = self.heads.get_mut(candidate.end) {
                    let cost = cost + i64::from(token.cost);
                    self.ends.push(End { node, right: token.right, cost, next: *head });
                    *head = (self.ends.len() - 1) as u32;
                }
            }
        }
        self.candidates = candidates;
    }

    /// The word ending at `position` with the cheapest path and connection.
    fn cheapest(&self, connections: &[i16], position: usize) -> (u32, i64) {
        let mut best = (NONE, i64::MAX);
        let mut entry = self.heads[position];
        while entry != NONE {
            let end = self.ends[entry as usize];
            let cost = end.cost + i64::from(connections[usize::from(end.right)]);
            if cost < best.1 {
                best = (end.node, cost);
            }
            entry = end.next;
        }
        best
    }

    /// Moves the words that all open paths share to `words`, and drops what no path needs.
    fn drop_final(&mut self, position: usize) {
        // No word that starts before here ends further than MeCab looks, but for its last
        // character.
        let last = self.heads.len().min(position + MAX_REACH + 8);
        let open = |lattice: &Self| {
            let mut entries = Vec::new();
            for head in &lattice.heads[position..last] {
                let mut entry = *head;
                while entry != NONE {
                    entries.push(entry);
                    entry = lattice.ends[entry as usize].next;
                }
            }
            entries
        };
        let entries = open(self);
        let mut paths: BTreeSet<u32> =
            entries.iter().map(|entry| self.ends[*entry as usize].node).collect();
        let mut needed = Vec::new();
        // A word stands behind those before it: following the last one back never skips a fork.
        while paths.len() > 1 {
            let Some(node) = paths.pop_last() else { break };
            needed.push(node);
            paths.insert(self.nodes[node as usize].before);
        }
        let Some(shared) = paths.pop_last() else { return };
        let done = self.words.len();
        let mut node = shared;
        while node != 0 {
            let Node { before, start, end } = self.nodes[node as usize];
            self.words.push(start as usize..end as usize);
            node = before;
        }
        self.words[done..].reverse();
        // The shared word becomes the start of what is left.
        needed.reverse();
        let number = |node: u32| match needed.binary_search(&node) {
            Ok(at) => at as u32 + 1,
            Err(_) => 0,
        };
        let mut nodes = vec![Node { before: NONE, start: 0, end: 0 }];
        nodes.extend(needed.iter().map(|node| {
            let node = self.nodes[*node as usize];
            Node { before: number(node.before), ..node }
        }));
        let mut ends = Vec::with_capacity(entries.len());
        for head in &mut self.heads[position..last] {
            let mut entry = std::mem::replace(head, NONE);
            let mut link: Option<usize> = None;
            while entry != NONE {
                let end = self.ends[entry as usize];
                let new = ends.len() as u32;
                match link {
                    None => *head = new,
                    Some(link) => {
                        let previous: &mut End = &mut ends[link];
                        previous.next = new;
                    }
                }
                link = Some(ends.len());
                ends.push(End { node: number(end.node), next: NONE, ..end });
                entry = end.next;
            }
        }
        self.nodes = nodes;
        self.ends = ends;
    }
}

/// The class and the width of the character at `at`, as MeCab decodes UTF-8: four-byte characters
/// have the class of U+0000, and a character cut off by `limit` is read byte by byte.
fn char_info(view: &View<'_>, bytes: &[u8], at: usize, limit: usize) -> (CharInfo, usize) {
    let byte = |i: usize| u32::from(bytes.get(at + i).copied().unwrap_or(0));
    let first = byte(0);
    let room = limit.saturating_sub(at);
    let (character, width) = if first < 0x80 {
        (first, 1)
    } else if room >= 2 && first & 0xe0 == 0xc0 {
        ((first & 0x1f) << 6 | byte(1) & 0x3f, 2)
    } else if room >= 3 && first & 0xf0 == 0xe0 {
        ((first & 0x0f) << 12 | (byte(1) & 0x3f) << 6 | byte(2) & 0x3f, 3)
    } else if room >= 4 && first & 0xf8 == 0xf0 {
        (0, 4)
    } else {
        (0, 1)
    };
    (view.char_info(character), width)
}
