//! The differences of a connection matrix in fewer bytes than zstd needs for them: 4.1 instead of
//! 4.9 MB for unidic-lite, as many as LZMA takes. Downloads use it. Reading it takes over a second of
//! one core, so programs that have a dictionary built in keep it in zstd.
//!
//! Each difference is a few binary decisions: whether it is zero, whether it is what one of three
//! predictions says, and else its sign, its exponent and its lower bits. Each decision has a
//! probability that adapts to the decisions before it in the same context, and an arithmetic coder
//! with 32 bits writes it in as many bits as its probability says (Witten, Neal and Cleary,
//! "Arithmetic coding for data compression", 1987; the form without carries is that of M. Mahoney's
//! `fpaq0`). The strongest prediction is that of a match: rows repeat parts of other rows, so the
//! last row that had the same two values in the same columns is followed while it is right. Others
//! are the last value of the column that was not zero, and the last surprise of the row.

/// The probability that a decision is yes, as the mean of a fast and a slow average, each a share of
/// 2^16.
#[derive(Clone, Copy)]
struct Chance {
    fast: u16,
    slow: u16,
}

impl Chance {
    const EVEN: Self = Self { fast: 1 << 15, slow: 1 << 15 };

    /// Returns the probability of yes as a share of 2^16, neither 0 nor 1.
    fn share(self) -> u32 {
        ((u32::from(self.fast) + u32::from(self.slow)) >> 1).clamp(32, (1 << 16) - 32)
    }

    fn learn(&mut self, yes: bool) {
        let learn = |share: u16, rate: u32| match yes {
            true => share + ((u16::MAX - share) >> rate),
            false => share - (share >> rate),
        };
        (self.fast, self.slow) = (learn(self.fast, 4), learn(self.slow, 7));
    }
}

/// An end of the arithmetic coder. Both ends make the same decisions in the same contexts.
trait Coder {
    /// Codes a decision that is yes with a probability of `share` of 2^16. The writing end takes
    /// `yes` and returns it; the reading end returns what was written.
    fn code(&mut self, share: u32, yes: bool) -> bool;

    /// Codes a decision and learns from it.
    fn decide(&mut self, chance: &mut Chance, yes: bool) -> bool {
        let yes = self.code(chance.share(), yes);
        chance.learn(yes);
        yes
    }

    /// Codes the lowest `bits` bits of a number, the highest first, by the chances of a binary tree.
    fn bits(&mut self, tree: &mut [Chance], bits: u32, number: u32) -> u32 {
        let mut node = 1;
        for bit in (0..bits).rev() {
            let yes = self.decide(&mut tree[node], number >> bit & 1 == 1);
            node = 2 * node + usize::from(yes);
        }
        node as u32 - (1 << bits)
    }
}

/// The interval of the coder.
struct Interval {
    low: u32,
    high: u32,
}

impl Interval {
    const ALL: Self = Self { low: 0, high: u32::MAX };

    /// Returns where the part of yes, which is the lower one, ends.
    fn middle(&self, share: u32) -> u32 {
        self.low + ((u64::from(self.high - self.low) * u64::from(share)) >> 16) as u32
    }

    fn take(&mut self, middle: u32, yes: bool) {
        match yes {
            true => self.high = middle,
            false => self.low = middle + 1,
        }
    }

    /// Drops the highest byte if it is the same at both ends, and returns it.
    fn settled(&mut self) -> Option<u8> {
        let top = (self.high >> 24) as u8;
        (self.low >> 24 == self.high >> 24).then(|| {
            (self.low, self.high) = (self.low << 8, self.high << 8 | 255);
            top
        })
    }
}

struct Writer {
    interval: Interval,
    out: Vec<u8>,
}

impl Coder for Writer {
    fn code(&mut self, share: u32, yes: bool) -> bool {
        let middle = self.interval.middle(share);
        self.interval.take(middle, yes);
        while let Some(byte) = self.interval.settled() {
            self.out.push(byte);
        }
        yes
    }
}

struct Reader<'a> {
    interval: Interval,
    /// The next four bytes.
    value: u32,
    rest: &'a [u8],
}

impl Reader<'_> {
    /// Takes a byte in. Zeros follow the last one.
    fn take(&mut self) {
        let (byte, rest) = self.rest.split_first().unwrap_or((&0, &[]));
        (self.value, self.rest) = (self.value << 8 | u32::from(*byte), rest);
    }
}

impl Coder for Reader<'_> {
    #[inline(always)]
    fn code(&mut self, share: u32, _: bool) -> bool {
        let middle = self.interval.middle(share);
        let yes = self.value <= middle;
        self.interval.take(middle, yes);
        while self.interval.settled().is_some() {
            self.take();
        }
        yes
    }
}

/// The number of places in the table of matches.
const PLACES: usize = 1 << 20;
/// The number of lower bits of a value that have chances of their own; the others are even.
const FINE_BITS: u32 = 8;

/// What is known of the cells before the next one.
struct Model {
    zero: Vec<Chance>,
    matched: Vec<Chance>,
    repeated: Vec<Chance>,
    again: Vec<Chance>,
    sign: Vec<Chance>,
    exponent: Vec<Chance>,
    lower: Vec<Chance>,
    /// The last row with two values in two columns, plus one, by their hash.
    rows: Vec<u32>,
    /// The last value of each column that was not zero.
    last: Vec<i16>,
    /// How often the values of each column were not zero lately, as a share of 2^16.
    busy: Vec<u16>,
    row: RowState,
}

/// What is known of the cells before the next one in its row.
#[derive(Default)]
struct RowState {
    /// The row that is followed, and for how many values it was right; none if no row is.
    followed: Option<(usize, u32)>,
    /// Whether the last cells were not zero, the last one in the lowest bit.
    filled: usize,
    /// Whether the last predictions were right, the last one in the lowest bit.
    right: usize,
    /// The last value that was not zero, and its column.
    value: (i16, usize),
    /// The last value that no prediction knew, and the one before it.
    surprises: (i16, i16),
    /// How often values were not zero lately, as a share of 2^16.
    busy: u16,
}

/// Moves a share of 2^16 a part of 2^-`rate` towards 1 or 0.
fn average(share: u16, yes: bool, rate: u32) -> u16 {
    match yes {
        true => share + ((u16::MAX - share) >> rate),
        false => share - (share >> rate),
    }
}

impl Model {
    fn new(columns: usize) -> Self {
        let chances = |count| vec![Chance::EVEN; count];
        Self {
            zero: chances(1 << 16),
            matched: chances(1 << 7),
            repeated: chances(1 << 9),
            again: chances(1 << 3),
            sign: chances(1 << 3),
            exponent: chances(1 << 11),
            lower: chances(1 << (4 + FINE_BITS + 1)),
            rows: vec![0; PLACES],
            last: vec![0; columns],
            busy: vec![0; columns],
            row: RowState::default(),
        }
    }

    /// Codes the cell at a row and a column of `cells`, which has all cells before it and, at the
    /// writing end, this one. Returns its value.
    #[inline(always)]
    fn cell(&mut self, coder: &mut impl Coder, cells: &[i16], row: usize, column: usize) -> i16 {
        let columns = self.last.len();
        let at = row * columns + column;
        let value = cells[at];
        let (followed, length) = match self.row.followed {
            Some((row, right)) => (cells[row * columns + column], (right + 1).ilog2().min(6) + 1),
            None => (0, 0),
        };
        let above = if row > 0 { cells[at - columns] } else { 0 };
        let follows = (length as usize) << 1 | usize::from(followed != 0);
        let busy = usize::from(self.busy[column] >> 13);
        let zero = follows << 11
            | usize::from(self.row.busy >> 13) << 8
            | busy << 5
            | usize::from(above != 0) << 4
            | self.row.filled & 15;
        let filled = coder.decide(&mut self.zero[zero], value != 0);
        self.row.filled = self.row.filled << 1 | usize::from(filled);
        self.row.busy = average(self.row.busy, filled, 6);
        self.busy[column] = average(self.busy[column], filled, 4);
        if !filled {
            if followed != 0 {
                self.row.followed =
                    self.row.followed.map(|(row, right)| (row, right / 4)).filter(|(_, r)| *r > 0);
            }
            return 0;
        }
        let value = self.value(coder, value, followed, follows >> 1, above, busy, column);
        self.row.followed = match self.row.followed {
            Some((row, right)) if followed == value => Some((row, right + 1)),
            _ => None,
        };
        self.find(value, row, column);
        self.last[column] = value;
        value
    }

    /// Codes a value that is not zero.
    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "what a cell knows of its surroundings")]
    fn value(
        &mut self,
        coder: &mut impl Coder,
        value: i16,
        followed: i16,
        length: usize,
        above: i16,
        busy: usize,
        column: usize,
    ) -> i16 {
        let last = self.last[column];
        let state = &mut self.row;
        if followed != 0 {
            let context = length << 4 | usize::from(followed == last) << 3 | state.right & 7;
            let right = coder.decide(&mut self.matched[context], value == followed);
            state.right = state.right << 1 | usize::from(right);
            if right {
                return followed;
            }
        }
        let context = busy << 6
            | (state.right & 7) << 3
            | usize::from(above != 0) << 1
            | usize::from(above == last);
        let right = coder.decide(&mut self.repeated[context], value == last);
        state.right = state.right << 1 | usize::from(right);
        if right {
            return last;
        }
        let (surprise, before) = state.surprises;
        let context = state.right >> 1 & 3 | usize::from(surprise == before) << 2;
        let value = match coder.decide(&mut self.again[context], value == surprise) {
            true => surprise,
            false => self.surprise(coder, value, surprise, last, busy),
        };
        self.row.surprises = (value, surprise);
        value
    }

    /// Codes a value that nothing predicts.
    #[inline(always)]
    fn surprise(
        &mut self,
        coder: &mut impl Coder,
        value: i16,
        before: i16,
        last: i16,
        busy: usize,
    ) -> i16 {
        let context =
            usize::from(before < 0) | usize::from(last < 0) << 1 | usize::from(last == 0) << 2;
        let negative = coder.decide(&mut self.sign[context], value < 0);
        // A value that is zero is one that a reader is about to learn.
        let size = u32::from(value.unsigned_abs().max(1));
        let context = busy << 8 | (u32::from(before.unsigned_abs().max(1)).ilog2() as usize) << 4;
        let exponent = coder.bits(&mut self.exponent[context..], 4, size.ilog2());
        let fine = exponent.min(FINE_BITS);
        let tree = &mut self.lower[(exponent as usize) << (FINE_BITS + 1)..];
        let mut size =
            1 << fine | coder.bits(tree, fine, size >> (exponent - fine) & ((1 << fine) - 1));
        let all = u32::from(value.unsigned_abs());
        for bit in (0..exponent - fine).rev() {
            size = size << 1 | u32::from(coder.code(1 << 15, all >> bit & 1 == 1));
        }
        // The sizes are those of i16, of which -2^15 is its own opposite.
        let value = size as u16 as i16;
        if negative { value.wrapping_neg() } else { value }
    }

    /// Looks for a row to follow by the last two values and their columns, and notes this row.
    #[inline(always)]
    fn find(&mut self, value: i16, row: usize, column: usize) {
        let (before, at) = self.row.value;
        self.row.value = (value, column);
        let mixed = (value as u32).wrapping_mul(0x9e37_79b1)
            ^ (before as u32).wrapping_mul(0x85eb_ca6b)
            ^ (column as u32).wrapping_mul(0xc2b2_ae35)
            ^ (at as u32).wrapping_mul(0x27d4_eb2f);
        let place = &mut self.rows[mixed as usize >> 12];
        let earlier = (*place as usize).checked_sub(1);
        // Hashes collide, but a reader does not have the rest of this row.
        if let (None, Some(earlier)) = (self.row.followed, earlier.filter(|found| *found < row)) {
            self.row.followed = Some((earlier, 0));
        }
        *place = row as u32 + 1;
    }
}

/// Codes the cells of a matrix with this number of columns.
pub(super) fn encode(cells: &[i16], columns: usize) -> Vec<u8> {
    let mut writer = Writer { interval: Interval::ALL, out: Vec::new() };
    let mut model = Model::new(columns);
    for row in 0..cells.len() / columns.max(1) {
        model.row = RowState::default();
        for column in 0..columns {
            model.cell(&mut writer, cells, row, column);
        }
    }
    // Any value within the interval ends the code; readers add zeros.
    writer.out.extend(writer.interval.high.to_be_bytes());
    writer.out
}

/// Reads `rows` rows that [`encode`] coded. Other bytes give some cells, too.
pub(super) fn decode(coded: &[u8], rows: usize, columns: usize) -> Vec<i16> {
    let mut reader = Reader { interval: Interval::ALL, value: 0, rest: coded };
    (0..4).for_each(|_| reader.take());
    let mut model = Model::new(columns);
    let mut cells = vec![0; rows * columns];
    for row in 0..rows {
        model.row = RowState::default();
        for column in 0..columns {
            cells[row * columns + column] = model.cell(&mut reader, &cells, row, column);
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(cells: &[i16], columns: usize) -> usize {
        let coded = encode(cells, columns);
        let rows = cells.len() / columns.max(1);
        assert!(decode(&coded, rows, columns) == cells, "{columns} columns");
        coded.len()
    }

    #[test]
    fn rows_that_repeat_take_few_bytes() {
        let mut state = 1u32;
        let mut draw = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % below
        };
        let kinds: Vec<Vec<i16>> = (0..5)
            .map(|_| (0..300).map(|_| if draw(3) == 0 { draw(20_000) as i16 } else { 0 }).collect())
            .collect();
        let cells: Vec<i16> = (0..200).flat_map(|_| kinds[draw(5) as usize].clone()).collect();
        let length = check(&cells, 300);
        // The values of the five kinds take some 1,000 bytes, and each of the 200 rows some 20 until it is known.
        assert!(length < 6_000, "{length} bytes");
    }

    /// So many values that some of a row have the same hash.
    #[test]
    fn hashes_that_collide_do_no_harm() {
        let mut state = 5u64;
        let mut draw = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 48) as i16
        };
        let cells: Vec<i16> = (0..40 * 5000).map(|_| draw()).collect();
        check(&cells, 5000);
    }

    proptest! {
        #[test]
        fn cells_come_back(
            cells in proptest::collection::vec(
                prop_oneof![4 => Just(0i16), 2 => -3i16..4, 1 => any::<i16>()], 0..600),
            columns in 1usize..40,
        ) {
            check(&cells[..cells.len() / columns * columns], columns);
        }

        #[test]
        fn other_bytes_do_no_harm(coded in proptest::collection::vec(any::<u8>(), 0..200)) {
            assert_eq!(decode(&coded, 7, 11).len(), 77);
        }
    }

    #[test]
    fn extreme_values_come_back() {
        check(&[i16::MIN, i16::MAX, -1, 1, 0, i16::MIN, i16::MIN, i16::MAX], 4);
        check(&[], 3);
    }
}
