//! Zeroed memory for weights, aligned to a cache line and, where it is large, to huge pages.
//!
//! Weights are read millions of times in long runs: huge pages take the address translation out
//! of the products' way. The advice is given on Linux and is only advice.
#![allow(unsafe_code, reason = "aligned allocation has no safe interface")]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ops::{Deref, DerefMut};

const CACHE_LINE: usize = 64;
const HUGE_PAGE: usize = 2 << 20;

/// Plain numbers: every bit pattern is a value, zero included.
pub(crate) trait Number: Copy + Send + Sync + 'static {}
impl Number for f32 {}
impl Number for i8 {}

/// A fixed-length slice of numbers in memory of its own.
pub(crate) struct AlignedBuffer<T: Number> {
    /// Start of `len` initialised numbers; dangling when `len` is 0.
    start: std::ptr::NonNull<T>,
    len: usize,
}

// SAFETY: the buffer owns its memory and hands out references by the usual borrowing rules.
unsafe impl<T: Number> Send for AlignedBuffer<T> {}
// SAFETY: as above.
unsafe impl<T: Number> Sync for AlignedBuffer<T> {}

impl<T: Number> AlignedBuffer<T> {
    /// `len` zeros.
    pub(crate) fn zeroed(len: usize) -> Self {
        if len == 0 {
            return Self { start: std::ptr::NonNull::dangling(), len };
        }
        let layout = Self::layout(len);
        // SAFETY: the layout is not empty; zeros are initialised numbers.
        unsafe {
            let start = alloc(layout).cast::<T>();
            let Some(start) = std::ptr::NonNull::new(start) else { handle_alloc_error(layout) };
            #[cfg(target_os = "linux")]
            if layout.align() == HUGE_PAGE {
                libc::madvise(start.as_ptr().cast(), layout.size(), libc::MADV_HUGEPAGE);
            }
            start.write_bytes(0, len);
            Self { start, len }
        }
    }

    fn layout(len: usize) -> Layout {
        let size = len.checked_mul(size_of::<T>()).expect("a buffer larger than memory");
        let align = if size >= 2 * HUGE_PAGE { HUGE_PAGE } else { CACHE_LINE };
        Layout::from_size_align(size, align).expect("a buffer larger than memory")
    }
}

impl<T: Number> Deref for AlignedBuffer<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        // SAFETY: `len` initialised numbers from `start`, borrowed with `self`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl<T: Number> DerefMut for AlignedBuffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above, borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl<T: Number> Drop for AlignedBuffer<T> {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: allocated in `zeroed` with the same layout.
            unsafe { dealloc(self.start.as_ptr().cast(), Self::layout(self.len)) }
        }
    }
}

impl<T: Number> std::fmt::Debug for AlignedBuffer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AlignedBuffer(len {})", self.len)
    }
}
