//! Functions that read a little-endian number at a place in bytes. They return `None` if the bytes
//! end before the number does.

macro_rules! number_at {
    ($name:ident, $type:ty) => {
        #[inline(always)]
        pub(super) fn $name(bytes: &[u8], at: usize) -> Option<$type> {
            bytes.get(at..)?.first_chunk().map(|bytes| <$type>::from_le_bytes(*bytes))
        }
    };
}

number_at!(u16_at, u16);
number_at!(u32_at, u32);
number_at!(u64_at, u64);
