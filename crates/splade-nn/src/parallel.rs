//! Work shared out over the current rayon pool.

use rayon::prelude::*;

/// Calls `work(0)` to `work(count - 1)`: over the pool if `parallel`, else one after another.
pub(crate) fn for_each(parallel: bool, count: usize, work: impl Fn(usize) + Send + Sync) {
    if parallel && count > 1 {
        (0..count).into_par_iter().with_max_len(1).for_each(work);
    } else {
        (0..count).for_each(work);
    }
}

/// A pointer that several threads write through, each its own part.
#[derive(Clone, Copy)]
pub(crate) struct Shared(pub(crate) *mut f32);

#[allow(unsafe_code, reason = "disjoint parts of one output are written by several threads")]
mod share {
    // SAFETY: a pointer alone does nothing; whoever writes through it keeps to its own part.
    unsafe impl Send for super::Shared {}
    // SAFETY: as above.
    unsafe impl Sync for super::Shared {}
}

impl Shared {
    /// The pointer itself.
    pub(crate) fn pointer(self) -> *mut f32 {
        self.0
    }
}
