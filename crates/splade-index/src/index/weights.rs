//! The weights of a postings list, in the order of its documents.

use half::f16;

use super::docs::prefetch;

/// The precision in which an index stores weights.
///
/// ```
/// use splade_index::{Index, IndexOptions, IndexWriter, WeightFormat, WriterOptions};
/// use splade_sparse::{SparseVector, TermId};
///
/// let folder = tempfile::tempdir()?;
/// let stored = |weights, name| -> Result<f32, Box<dyn std::error::Error>> {
///     let path = folder.path().join(name);
///     let options = IndexOptions { weights, ..IndexOptions::default() };
///     let mut writer = IndexWriter::create(&path, options, WriterOptions::default())?;
///     writer.put("a", &SparseVector::new(vec![TermId(7)], vec![1.0])?)?;
///     writer.put("b", &SparseVector::new(vec![TermId(7)], vec![0.123])?)?;
///     writer.commit()?;
///     Ok(Index::open(&path)?.vector("b").map_or(0.0, |vector| vector.weight(TermId(7))))
/// };
/// assert_eq!(stored(WeightFormat::F32, "exact")?, 0.123);
/// let small = stored(WeightFormat::U8, "small")?;
/// assert!(small != 0.123 && (small - 0.123).abs() < 0.002);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WeightFormat {
    /// 8 bits, the default: multiples of a step, which is 1/255 of the list's largest weight after
    /// rounding that up by less than 1/128. The error of a weight is at most half a step; a weight
    /// below half a step becomes one step.
    #[default]
    U8,
    /// 16-bit floats. The error is at most 1/2,048 of a weight between 6e-5 and 65,504.
    F16,
    /// 32-bit floats, which are exact.
    F32,
}

impl std::fmt::Display for WeightFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::U8 => "u8",
            Self::F16 => "f16",
            Self::F32 => "f32",
        })
    }
}

impl WeightFormat {
    /// Returns the number of bytes per weight.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::F16 => 2,
            Self::F32 => 4,
        }
    }

    /// Returns the largest weight after encoding, rounded up to a value that fits [`upper_bits`].
    pub(super) fn largest(self, weights: &[f32]) -> f32 {
        let max = weights.iter().copied().fold(0.0, f32::max);
        match self {
            Self::F16 => round_up(half(max).to_f32()),
            Self::U8 | Self::F32 => round_up(max),
        }
    }

    /// Appends encoded weights. `max` is the result of [`largest`](Self::largest) for them.
    pub(super) fn encode(self, weights: &[f32], max: f32, out: &mut Vec<u8>) {
        match self {
            Self::U8 => {
                let step = f64::from(max) / 255.0;
                let code =
                    |weight: &f32| (f64::from(*weight) / step).round().clamp(1.0, 255.0) as u8;
                out.extend(weights.iter().map(code));
            }
            Self::F16 => {
                out.extend(weights.iter().flat_map(|weight| half(*weight).to_le_bytes()));
            }
            Self::F32 => out.extend(weights.iter().flat_map(|weight| weight.to_le_bytes())),
        }
    }
}

/// Rounds a weight to a 16-bit float that is neither zero nor infinite.
fn half(weight: f32) -> f16 {
    f16::from_f32(weight.min(65_504.0)).max(f16::from_bits(1))
}

/// Rounds a number up to an f32 whose lower 16 bits are zero.
fn round_up(max: f32) -> f32 {
    let bits = max.to_bits();
    let up = (bits & 0xffff_0000) + if bits & 0xffff == 0 { 0 } else { 0x1_0000 };
    f32::from_bits(up)
}

/// Returns the upper 16 bits of a number that [`round_up`] returned.
pub(super) fn upper_bits(max: f32) -> u16 {
    (max.to_bits() >> 16) as u16
}

/// Returns the number with these upper 16 bits; see [`upper_bits`].
pub(super) fn from_upper_bits(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// The encoded weights of a list.
#[derive(Debug, Clone, Copy)]
pub(super) enum Weights<'a> {
    /// A byte per weight, and the step, which is the weight of code 1.
    U8(&'a [u8], f32),
    /// Two bytes per weight.
    F16(&'a [u8]),
    /// Four bytes per weight.
    F32(&'a [u8]),
}

impl<'a> Weights<'a> {
    /// Opens the `count` weights at the start of `bytes`, or returns `None` if they do not fit.
    pub(super) fn open(
        format: WeightFormat,
        bytes: &'a [u8],
        count: usize,
        max: f32,
    ) -> Option<Self> {
        let bytes = bytes.get(..count * format.bytes())?;
        Some(match format {
            WeightFormat::U8 => Self::U8(bytes, max / 255.0),
            WeightFormat::F16 => Self::F16(bytes),
            WeightFormat::F32 => Self::F32(bytes),
        })
    }

    /// Prefetches the bytes of the `i`-th weight into the cache.
    #[inline(always)]
    pub(super) fn prefetch(&self, i: usize) {
        match self {
            Self::U8(bytes, _) => prefetch(bytes, i),
            Self::F16(bytes) => prefetch(bytes, 2 * i),
            Self::F32(bytes) => prefetch(bytes, 4 * i),
        }
    }

    /// Returns the `i`-th weight. `i` must be below the number of weights.
    #[inline(always)]
    pub(super) fn get(&self, i: usize) -> f32 {
        match self {
            Self::U8(codes, step) => f32::from(codes[i]) * step,
            Self::F16(bytes) => f16::from_le_bytes([bytes[2 * i], bytes[2 * i + 1]]).to_f32(),
            Self::F32(bytes) => {
                let at = 4 * i;
                f32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn weights_are_off_by_no_more_than_stated(
            weights in proptest::collection::vec(1e-4f32..60_000.0, 1..50),
        ) {
            for format in [WeightFormat::U8, WeightFormat::F16, WeightFormat::F32] {
                let max = format.largest(&weights);
                prop_assert_eq!(from_upper_bits(upper_bits(max)), max);
                let mut bytes = Vec::new();
                format.encode(&weights, max, &mut bytes);
                prop_assert!(Weights::open(format, &bytes[1..], weights.len(), max).is_none());
                let got = Weights::open(format, &bytes, weights.len(), max).expect("weights");
                for (i, weight) in weights.iter().enumerate() {
                    let off = (got.get(i) - weight).abs();
                    let allowed = match format {
                        // A weight below half a step becomes one step.
                        WeightFormat::U8 => (max / 510.0 * 1.0001).max(max / 255.0 - weight),
                        WeightFormat::F16 => weight / 2048.0,
                        WeightFormat::F32 => 0.0,
                    };
                    prop_assert!(off <= allowed, "{} became {} as {}", weight, got.get(i), format);
                    prop_assert!(got.get(i) > 0.0 && got.get(i) <= max * 1.000_001);
                }
            }
        }
    }
}
