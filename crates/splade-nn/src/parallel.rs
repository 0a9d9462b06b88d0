//! Helpers to distribute work over the current rayon pool.

use rayon::prelude::*;

/// Calls `work(0)` to `work(count - 1)`, over the rayon pool if `parallel` is set and else in
/// order.
pub(crate) fn for_each(parallel: bool, count: usize, work: impl Fn(usize) + Send + Sync) {
    if parallel && count > 1 {
        (0..count).into_par_iter().with_max_len(1).for_each(work);
    } else {
        (0..count).for_each(work);
    }
}

/// A pointer that several threads write through, each of them only its own part of the memory.
#[derive(Clone, Copy)]
pub(crate) struct Shared(pub(crate) *mut f32);

#[allow(unsafe_code, reason = "disjoint parts of one output are written by several threads")]
mod share {
    // SAFETY: the pointer alone gives no access. Every use dereferences it in an unsafe block of
    // its own, which ensures that threads write disjoint parts.
    unsafe impl Send for super::Shared {}
    // SAFETY: the pointer is only copied out of a shared reference; see above.
    unsafe impl Sync for super::Shared {}
}

impl Shared {
    /// Returns the raw pointer.
    pub(crate) fn pointer(self) -> *mut f32 {
        self.0
    }
}
