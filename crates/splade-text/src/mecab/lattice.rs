//! Finds the best path through the lattice of words with the same results as MeCab 0.996.
//!
//! At every position where a word ends, the words that start there (known words and unknown runs of
//! a character category) are joined to the cheapest previous word. Ties are resolved as in MeCab:
//! the previous word that was joined last is considered first, and only a strictly smaller cost
//! wins.
//!
//! Memory does not grow with the text. From time to time, the open paths are followed back to the
//! word that they share. Everything before it is final, and nodes that no open path needs are
//! dropped.

use std::collections::BTreeSet;
use std::ops::Range;

use super::image::{Dictionary, Run, View};
use super::parts::CharInfo;

/// The number of further characters up to which a run of unknown characters is grouped.
const MAX_GROUPING: usize = 24;
/// The number of bytes that MeCab looks ahead from one position, since it stores lengths in 16
/// bits.
const MAX_REACH: usize = 65_535;
/// The number of words that are kept before final ones are dropped.
const KEPT_WORDS: usize = 1 << 18;
/// The number of positions up to which buffers are kept for the next text.
const KEPT_POSITIONS: usize = 1 << 20;
/// The index that stands for no node or no entry.
const NONE: u32 = u32::MAX;

/// A word in the lattice.
#[derive(Clone, Copy)]
struct Node {
    before: u32,
    start: u32,
    end: u32,
}

/// An entry of the linked list of words that end at one position.
#[derive(Clone, Copy)]
struct End {
    node: u32,
    /// The right class of the word.
    right: u16,
    /// The cost of the cheapest path that ends with this word.
    cost: i64,
    next: u32,
}

/// A word that may start at the current position.
#[derive(Clone, Copy)]
struct Candidate {
    run: Run,
    end: usize,
}

/// The buffers of a search, reused from text to text.
#[derive(Default)]
pub(crate) struct Lattice {
    nodes: Vec<Node>,
    ends: Vec<End>,
    /// The first entry of each position's list.
    heads: Vec<u32>,
    candidates: Vec<Candidate>,
    /// For each left class, the epoch in which the entry was computed, the cheapest previous word
    /// at that position, and its cost.
    joined: Vec<(u32, u32, i64)>,
    /// The number of the current position, which marks valid entries of `joined`.
    epoch: u32,
    /// The number of words above which final ones are looked for next.
    room: usize,
    words: Vec<Range<usize>>,
}

impl Lattice {
    /// Splits a text of less than 4 GB into words and returns their byte ranges, without the blanks
    /// between them. A NUL ends the text, since MeCab reads C strings.
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
                // If many paths stay open, the next look comes later, so that the total cost stays
                // linear.
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

    /// Frees the memory of a large text.
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

    /// Fills `candidates` in the order in which MeCab inserts them, and returns the position after
    /// leading blanks, where their words start.
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
            // A run longer than MAX_GROUPING is not a word, so the loop may stop there.
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
            // The epoch has wrapped around, so old entries could look new.
            self.joined.clear();
            self.epoch = 1;
        }
        let candidates = std::mem::take(&mut self.candidates);
        // MeCab visits the words from the last one inserted to the first.
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

    /// Returns the word that ends at `position` with the cheapest path and connection, and the
    /// cost.
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

    /// Moves the words that all open paths share to `words` and drops nodes that no path needs.
    fn drop_final(&mut self, position: usize) {
        // A word that starts before this position ends at most MAX_REACH bytes later, except for
        // its last character.
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
        // A word has a higher index than the words before it, so following the last one back never
        // skips a fork.
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
        // The shared word becomes the start of the remaining lattice.
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

/// Returns the class and the width of the character at `at` as MeCab decodes UTF-8: four-byte
/// characters have the class of U+0000, and a character that `limit` cuts off is read byte by byte.
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
