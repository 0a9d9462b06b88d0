//! Zeroed memory for weights, aligned to a cache line or, for large buffers, to a huge page.
//!
//! Weights are read again and again in long sequential runs. Huge pages reduce the misses of the
//! translation lookaside buffer during the products. On Linux, they are requested with `madvise`,
//! which the kernel may ignore.
#![allow(unsafe_code, reason = "aligned allocation has no safe interface")]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ops::{Deref, DerefMut};

/// The alignment of small buffers in bytes.
const CACHE_LINE: usize = 64;
/// The size of a huge page in bytes, and the alignment of buffers of at least two of them.
const HUGE_PAGE: usize = 2 << 20;

/// A plain number type: every bit pattern, including all zeros, is a valid value.
pub(crate) trait Number: Copy + Send + Sync + 'static {}
impl Number for f32 {}
impl Number for i8 {}

/// A slice of fixed length that owns its aligned memory.
pub(crate) struct AlignedBuffer<T: Number> {
    /// The start of `len` initialised numbers, or a dangling pointer if `len` is 0.
    start: std::ptr::NonNull<T>,
    len: usize,
}

// SAFETY: the buffer owns its memory, as a `Box<[T]>` does, and `T` is `Send`.
unsafe impl<T: Number> Send for AlignedBuffer<T> {}
// SAFETY: a shared reference to the buffer only allows reads, and `T` is `Sync`.
unsafe impl<T: Number> Sync for AlignedBuffer<T> {}

impl<T: Number> AlignedBuffer<T> {
    /// Allocates `len` zeros.
    pub(crate) fn zeroed(len: usize) -> Self {
        if len == 0 {
            return Self { start: std::ptr::NonNull::dangling(), len };
        }
        let layout = Self::layout(len);
        // SAFETY: the layout has a size above 0 because `len > 0`. A null pointer is handled.
        // `madvise` gets a range that was just allocated, and its advice does not change the
        // contents. All `len` numbers are initialised by `write_bytes`, and zero is a valid value
        // of every `Number`.
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
        let size =
            len.checked_mul(size_of::<T>()).expect("the buffer is larger than the address space");
        let align = if size >= 2 * HUGE_PAGE { HUGE_PAGE } else { CACHE_LINE };
        Layout::from_size_align(size, align).expect("the buffer is larger than the address space")
    }
}

impl<T: Number> Deref for AlignedBuffer<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        // SAFETY: `start` points to `len` initialised numbers (or is dangling and `len` is 0), and
        // the slice borrows `self`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl<T: Number> DerefMut for AlignedBuffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: `start` points to `len` initialised numbers (or is dangling and `len` is 0), and
        // the slice borrows `self` mutably, so no other reference exists.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl<T: Number> Drop for AlignedBuffer<T> {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: the memory was allocated in `zeroed` with the same layout and is freed only
            // here.
            unsafe { dealloc(self.start.as_ptr().cast(), Self::layout(self.len)) }
        }
    }
}

impl<T: Number> std::fmt::Debug for AlignedBuffer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AlignedBuffer(len {})", self.len)
    }
}
