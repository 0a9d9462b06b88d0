//! The vector instructions of a CPU behind one small trait, selected at run time.
//!
//! A kernel is written once, generic over [`Simd`], and [`simd_function!`] compiles it for each
//! instruction set with the matching `target_feature`, so that everything is inlined into one
//! function body. The trait has only what the kernels need and is not a general vector library.
//!
//! The portable implementation is plain Rust on arrays, which the compiler turns into the baseline
//! vectors of the target (NEON on aarch64 and SIMD128 of WebAssembly have implementations of their
//! own). The instructions of a WebAssembly module are fixed when it is compiled, so SIMD128 is there
//! if the compiler may use it (`-C target-feature=+simd128`), and the fused instruction of relaxed
//! SIMD if the crate's feature `relaxed-simd` is set, too.
//!
//! Every instruction set gives the same bits. Functions of single lanes do so because each
//! operation is rounded as IEEE 754 requires, and `mul_add` rounds once everywhere. A reduction
//! depends on the number of lanes in which its sums are accumulated, so kernels reduce over
//! [`Simd::Wide`]: sixteen lanes, in one register of AVX-512, two of AVX2 or four of NEON. Element
//! `i` of a row goes to lane `i % 16`, a row is padded with zeros to whole registers, and
//! [`Simd::sum`] and [`Simd::largest`] halve the lanes in a fixed order. Only the payload and the
//! sign of a NaN depend on the CPU.
#![allow(unsafe_code, reason = "vector intrinsics and raw pointers are what this file wraps")]

use std::fmt;

/// The instruction set that the kernels use. A value exists only if the CPU supports it.
///
/// ```
/// use splade_nn::Isa;
///
/// // Every CPU gives the same bits, so the choice is only one of speed.
/// println!("{:?}", Isa::detect());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Isa(pub(crate) Kind);

/// The instruction sets that an [`Isa`] may hold, whether or not this CPU supports them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Kind {
    /// AVX-512 with VNNI, and AMX for products of 32-bit floats, which it rounds to bfloat16.
    #[cfg(target_arch = "x86_64")]
    Amx,
    /// AVX-512 F, BW, DQ and VL, with VNNI for 8-bit products.
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
    /// AVX-512 F, BW, DQ and VL; 8-bit products use AVX2.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2 and FMA, with AVX-VNNI for 8-bit products.
    #[cfg(target_arch = "x86_64")]
    Avx2Vnni,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// NEON, the baseline of 64-bit Arm.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// SIMD128 of WebAssembly with relaxed SIMD, on an engine that fuses multiply-adds.
    #[cfg(all(target_feature = "simd128", feature = "relaxed-simd"))]
    Relaxed128,
    /// SIMD128 of WebAssembly.
    #[cfg(target_feature = "simd128")]
    Simd128,
    /// Plain Rust without intrinsics.
    Portable,
}

impl Isa {
    /// Returns the best instruction set of this CPU.
    pub fn detect() -> Isa {
        Self::supported()[0]
    }

    /// Returns every instruction set that this CPU supports, best first. The last one is always the
    /// portable one.
    pub fn supported() -> Vec<Isa> {
        let mut kinds = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let avx512 = avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            if avx512 && is_x86_feature_detected!("avx512vnni") {
                kinds.push(Kind::Avx512Vnni);
            }
            if avx512 {
                kinds.push(Kind::Avx512);
            }
            if avx2 && is_x86_feature_detected!("avxvnni") {
                kinds.push(Kind::Avx2Vnni);
            }
            if avx2 {
                kinds.push(Kind::Avx2);
            }
        }
        #[cfg(target_arch = "aarch64")]
        kinds.push(Kind::Neon);
        #[cfg(all(target_feature = "simd128", feature = "relaxed-simd"))]
        if wasm::is_fused() {
            kinds.push(Kind::Relaxed128);
        }
        #[cfg(target_feature = "simd128")]
        kinds.push(Kind::Simd128);
        kinds.push(Kind::Portable);
        kinds.into_iter().map(Isa).collect()
    }

    /// Returns the instruction set whose products of 32-bit floats round their operands to bfloat16, or `None` if this
    /// CPU does not have it. The products are two to four times as fast as those of AVX-512, and less exact: an operand
    /// keeps eight bits of precision, and sums are still in 32 bits. They need AMX (Intel Xeon since Sapphire Rapids)
    /// and Linux. The results differ from those of all other instruction sets, so this one is not in
    /// [`supported`](Self::supported).
    ///
    /// ```
    /// use splade_nn::Isa;
    ///
    /// let isa = Isa::bf16().unwrap_or_else(Isa::detect);
    /// println!("{isa:?}");
    /// ```
    pub fn bf16() -> Option<Isa> {
        #[cfg(target_arch = "x86_64")]
        if Self::detect().0 == Kind::Avx512Vnni && crate::amx::is_supported() {
            return Some(Isa(Kind::Amx));
        }
        None
    }

    /// Returns the supported instruction set of the given name (as printed by [`fmt::Display`]), or
    /// `None` if there is none.
    pub fn named(name: &str) -> Option<Isa> {
        Self::supported().into_iter().find(|isa| isa.to_string() == name)
    }

    /// Returns the number of columns of a weight panel.
    pub(crate) fn panel_width(self) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Amx | Kind::Avx512Vnni | Kind::Avx512 => Avx512::PANEL,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2Vnni | Kind::Avx2 => Avx2::PANEL,
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => Neon::PANEL,
            #[cfg(all(target_feature = "simd128", feature = "relaxed-simd"))]
            Kind::Relaxed128 => Relaxed128::PANEL,
            #[cfg(target_feature = "simd128")]
            Kind::Simd128 => Simd128::PANEL,
            Kind::Portable => Portable::PANEL,
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Amx => "amx-bf16",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512Vnni => "avx512-vnni",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2Vnni => "avx2-vnni",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => "neon",
            #[cfg(all(target_feature = "simd128", feature = "relaxed-simd"))]
            Kind::Relaxed128 => "relaxed-simd128",
            #[cfg(target_feature = "simd128")]
            Kind::Simd128 => "simd128",
            Kind::Portable => "portable",
        })
    }
}

impl fmt::Debug for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Compiles a generic kernel for every instruction set and selects one by an [`Isa`] at run time.
///
/// From `unsafe fn kernel<S: Simd>(args)`, `fn name(args) = kernel;` makes an
/// `unsafe fn name(isa, args)`. Its caller upholds the kernel's own contract; the [`Isa`]
/// guarantees that the CPU supports the instructions.
macro_rules! simd_function {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? = $kernel:ident;) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments, reason = "kernels take pointers and their sizes apart")]
        $vis unsafe fn $name(isa: $crate::simd::Isa, $($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
            #[allow(clippy::too_many_arguments, reason = "as above")]
            unsafe fn avx512($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: the caller upholds the kernel's contract, and the CPU supports AVX-512.
                unsafe { $kernel::<$crate::simd::Avx512>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            #[allow(clippy::too_many_arguments, reason = "as above")]
            unsafe fn avx2($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: the caller upholds the kernel's contract, and the CPU supports AVX2 and
                // FMA.
                unsafe { $kernel::<$crate::simd::Avx2>($($arg),*) }
            }
            #[cfg(all(target_feature = "simd128", feature = "relaxed-simd"))]
            #[target_feature(enable = "relaxed-simd")]
            #[allow(clippy::too_many_arguments, reason = "as above")]
            unsafe fn relaxed128($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: the caller upholds the kernel's contract, and an engine that accepted the
                // module supports relaxed SIMD.
                unsafe { $kernel::<$crate::simd::Relaxed128>($($arg),*) }
            }
            use $crate::simd::Kind;
            // SAFETY: the caller upholds the kernel's contract. An `Isa` exists only if the CPU
            // supports its instructions.
            unsafe {
                match isa.0 {
                    #[cfg(target_arch = "x86_64")]
                    Kind::Amx | Kind::Avx512Vnni | Kind::Avx512 => avx512($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    Kind::Avx2Vnni | Kind::Avx2 => avx2($($arg),*),
                    #[cfg(target_arch = "aarch64")]
                    Kind::Neon => $kernel::<$crate::simd::Neon>($($arg),*),
                    #[cfg(all(target_feature = "simd128", feature = "relaxed-simd"))]
                    Kind::Relaxed128 => relaxed128($($arg),*),
                    #[cfg(target_feature = "simd128")]
                    Kind::Simd128 => $kernel::<$crate::simd::Simd128>($($arg),*),
                    Kind::Portable => $kernel::<$crate::simd::Portable>($($arg),*),
                }
            }
        }
    };
}
pub(crate) use simd_function;

/// Writes functions of lanes, such as those of [`Simd`], each with a body of unsafe operations.
macro_rules! lanes {
    ($(fn $name:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)? { $($body:tt)* })*) => { $(
        #[inline(always)]
        unsafe fn $name($($arg: $ty),*) $(-> $ret)? {
            // SAFETY: the caller upholds the contract of the trait: the CPU supports the
            // instructions, and pointers are valid for the lanes that are read or written.
            unsafe { $($body)* }
        }
    )* };
}
#[cfg(any(target_arch = "x86_64", target_feature = "simd128"))]
pub(crate) use lanes;

/// One vector register of 32-bit floats and the operations that the kernels need.
///
/// # Safety
///
/// Every function requires a CPU that supports the implementing instruction set. Pointers must be
/// valid for [`LANES`](Simd::LANES) floats, or for `n` floats if the name ends in `_n`. They need
/// not be aligned.
pub(crate) trait Simd: Copy + 'static {
    /// The number of floats in a register.
    const LANES: usize;
    /// The number of rows of a register tile of a matrix product. Together with
    /// [`VECTORS`](Simd::VECTORS), it is chosen so that the accumulators fill the register file.
    const ROWS: usize;
    /// The number of registers side by side in a tile.
    const VECTORS: usize;
    /// The number of columns of a weight panel, which is the width of a tile.
    const PANEL: usize = Self::VECTORS * Self::LANES;
    /// A register of floats.
    type F32: Copy;
    /// A register of as many 32-bit integers.
    type I32: Copy;
    /// Sixteen lanes in as many registers as they take. Reductions run over them.
    type Wide: Simd;

    unsafe fn splat(x: f32) -> Self::F32;
    unsafe fn load(from: *const f32) -> Self::F32;
    unsafe fn store(to: *mut f32, v: Self::F32);
    /// Loads the first `n <= LANES` floats; the other lanes are zero.
    unsafe fn load_n(from: *const f32, n: usize) -> Self::F32;
    /// Returns the first `n <= LANES` lanes of `a` and the other lanes of `rest`.
    unsafe fn first_n(a: Self::F32, n: usize, rest: Self::F32) -> Self::F32;
    unsafe fn store_n(to: *mut f32, v: Self::F32, n: usize);
    unsafe fn add(a: Self::F32, b: Self::F32) -> Self::F32;
    unsafe fn sub(a: Self::F32, b: Self::F32) -> Self::F32;
    unsafe fn mul(a: Self::F32, b: Self::F32) -> Self::F32;
    unsafe fn div(a: Self::F32, b: Self::F32) -> Self::F32;
    /// Returns `a * b + c`, rounded once.
    unsafe fn mul_add(a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;
    /// Returns `if a > b { a } else { b }`, which is `b` if one is a NaN or both are zeros.
    unsafe fn max(a: Self::F32, b: Self::F32) -> Self::F32;
    /// Returns `if a < b { a } else { b }`, which is `b` if one is a NaN or both are zeros.
    unsafe fn min(a: Self::F32, b: Self::F32) -> Self::F32;
    /// Rounds to the nearest integer, ties to even.
    unsafe fn round(a: Self::F32) -> Self::F32;
    /// Returns `2^a` for a register of whole numbers from -126 to 127.
    unsafe fn pow2(a: Self::F32) -> Self::F32;
    /// Returns the sum of all lanes. It adds lane `i + LANES / 2` to lane `i`, then halves the sums
    /// in the same way until one is left.
    unsafe fn sum(a: Self::F32) -> f32;
    /// Returns the largest lane by [`max`](Simd::max), halving the lanes in the order of
    /// [`sum`](Simd::sum).
    unsafe fn largest(a: Self::F32) -> f32;

    unsafe fn splat_i32(x: i32) -> Self::I32;
    unsafe fn load_i32(from: *const i32) -> Self::I32;
    unsafe fn store_i32(to: *mut i32, v: Self::I32);
    /// Replaces `best` and `kept` by `value` and `tag` in the lanes in which `value > best`.
    unsafe fn keep_larger(
        best: &mut Self::F32,
        kept: &mut Self::I32,
        value: Self::F32,
        tag: Self::I32,
    );
}

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Simd, Twice};
    use std::arch::x86_64::*;

    /// The 512-bit registers of AVX-512.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx512;

    /// Returns a mask whose first `n <= 16` bits are set.
    #[inline(always)]
    fn mask16(n: usize) -> __mmask16 {
        ((1u32 << n) - 1) as u16
    }

    // SAFETY (of every block in this implementation): the CPU supports AVX-512, and pointers are
    // valid for one register or, with a mask, for `n` floats, both by the contract of the trait.
    // Loads and stores are unaligned. The functions of `Avx2` may be called because every CPU with
    // AVX-512 supports AVX2, which `Isa::supported` checks.
    #[rustfmt::skip] // one line an instruction
    impl Simd for Avx512 {
        const LANES: usize = 16;
        const ROWS: usize = 8;
        const VECTORS: usize = 3;
        type F32 = __m512;
        type I32 = __m512i;
        type Wide = Avx512;
        lanes! {
            fn splat(x: f32) -> __m512 { _mm512_set1_ps(x) }
            fn load(from: *const f32) -> __m512 { _mm512_loadu_ps(from) }
            fn store(to: *mut f32, v: __m512) { _mm512_storeu_ps(to, v) }
            fn load_n(from: *const f32, n: usize) -> __m512 { _mm512_maskz_loadu_ps(mask16(n), from) }
            fn first_n(a: __m512, n: usize, rest: __m512) -> __m512 { _mm512_mask_mov_ps(rest, mask16(n), a) }
            fn store_n(to: *mut f32, v: __m512, n: usize) { _mm512_mask_storeu_ps(to, mask16(n), v) }
            fn add(a: __m512, b: __m512) -> __m512 { _mm512_add_ps(a, b) }
            fn sub(a: __m512, b: __m512) -> __m512 { _mm512_sub_ps(a, b) }
            fn mul(a: __m512, b: __m512) -> __m512 { _mm512_mul_ps(a, b) }
            fn div(a: __m512, b: __m512) -> __m512 { _mm512_div_ps(a, b) }
            fn mul_add(a: __m512, b: __m512, c: __m512) -> __m512 { _mm512_fmadd_ps(a, b, c) }
            fn max(a: __m512, b: __m512) -> __m512 { _mm512_max_ps(a, b) }
            fn min(a: __m512, b: __m512) -> __m512 { _mm512_min_ps(a, b) }
            fn round(a: __m512) -> __m512 { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
            fn pow2(a: __m512) -> __m512 { _mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_add_epi32(_mm512_cvtps_epi32(a), _mm512_set1_epi32(127)))) }
            fn sum(a: __m512) -> f32 { Avx2::sum(_mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps::<1>(a))) }
            fn largest(a: __m512) -> f32 { Avx2::largest(_mm256_max_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps::<1>(a))) }
            fn splat_i32(x: i32) -> __m512i { _mm512_set1_epi32(x) }
            fn load_i32(from: *const i32) -> __m512i { _mm512_loadu_si512(from.cast()) }
            fn store_i32(to: *mut i32, v: __m512i) { _mm512_storeu_si512(to.cast(), v) }
        }
        #[inline(always)]
        unsafe fn keep_larger(best: &mut __m512, kept: &mut __m512i, value: __m512, tag: __m512i) {
            // SAFETY: the functions work on registers only, and the CPU supports AVX-512 by
            // contract.
            unsafe {
                let larger = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(value, *best);
                *best = _mm512_mask_mov_ps(*best, larger, value);
                *kept = _mm512_mask_mov_epi32(*kept, larger, tag);
            }
        }
    }

    /// The 256-bit registers of AVX2.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx2;

    /// Returns eight lanes whose first `n` are all ones.
    ///
    /// # Safety
    ///
    /// The CPU must support AVX2.
    #[inline(always)]
    unsafe fn mask8(n: usize) -> __m256i {
        // SAFETY: the functions work on registers only, and the CPU supports AVX2 by contract.
        unsafe {
            _mm256_cmpgt_epi32(
                _mm256_set1_epi32(n as i32),
                _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7),
            )
        }
    }

    // SAFETY (of every block in this implementation): the CPU supports AVX2 and FMA, and pointers
    // are valid for one register or, with a mask, for `n` floats, both by the contract of the
    // trait. Loads and stores are unaligned.
    #[rustfmt::skip] // one line an instruction
    impl Simd for Avx2 {
        const LANES: usize = 8;
        const ROWS: usize = 6;
        const VECTORS: usize = 2;
        type F32 = __m256;
        type I32 = __m256i;
        type Wide = Twice<Avx2>;
        lanes! {
            fn splat(x: f32) -> __m256 { _mm256_set1_ps(x) }
            fn load(from: *const f32) -> __m256 { _mm256_loadu_ps(from) }
            fn store(to: *mut f32, v: __m256) { _mm256_storeu_ps(to, v) }
            fn load_n(from: *const f32, n: usize) -> __m256 { _mm256_maskload_ps(from, mask8(n)) }
            fn first_n(a: __m256, n: usize, rest: __m256) -> __m256 { _mm256_blendv_ps(rest, a, _mm256_castsi256_ps(mask8(n))) }
            fn store_n(to: *mut f32, v: __m256, n: usize) { _mm256_maskstore_ps(to, mask8(n), v) }
            fn add(a: __m256, b: __m256) -> __m256 { _mm256_add_ps(a, b) }
            fn sub(a: __m256, b: __m256) -> __m256 { _mm256_sub_ps(a, b) }
            fn mul(a: __m256, b: __m256) -> __m256 { _mm256_mul_ps(a, b) }
            fn div(a: __m256, b: __m256) -> __m256 { _mm256_div_ps(a, b) }
            fn mul_add(a: __m256, b: __m256, c: __m256) -> __m256 { _mm256_fmadd_ps(a, b, c) }
            fn max(a: __m256, b: __m256) -> __m256 { _mm256_max_ps(a, b) }
            fn min(a: __m256, b: __m256) -> __m256 { _mm256_min_ps(a, b) }
            fn round(a: __m256) -> __m256 { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
            fn pow2(a: __m256) -> __m256 { _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(_mm256_cvtps_epi32(a), _mm256_set1_epi32(127)))) }
        }
        #[inline(always)]
        unsafe fn sum(a: __m256) -> f32 {
            // SAFETY: the functions work on registers only, and the CPU supports AVX2 by contract.
            unsafe {
                let a = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
                let a = _mm_add_ps(a, _mm_movehl_ps(a, a));
                _mm_cvtss_f32(_mm_add_ss(a, _mm_shuffle_ps::<1>(a, a)))
            }
        }
        #[inline(always)]
        unsafe fn largest(a: __m256) -> f32 {
            // SAFETY: the functions work on registers only, and the CPU supports AVX2 by contract.
            unsafe {
                let a = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
                let a = _mm_max_ps(a, _mm_movehl_ps(a, a));
                _mm_cvtss_f32(_mm_max_ss(a, _mm_shuffle_ps::<1>(a, a)))
            }
        }
        lanes! {
            fn splat_i32(x: i32) -> __m256i { _mm256_set1_epi32(x) }
            fn load_i32(from: *const i32) -> __m256i { _mm256_loadu_si256(from.cast()) }
            fn store_i32(to: *mut i32, v: __m256i) { _mm256_storeu_si256(to.cast(), v) }
        }
        #[inline(always)]
        unsafe fn keep_larger(best: &mut __m256, kept: &mut __m256i, value: __m256, tag: __m256i) {
            // SAFETY: the functions work on registers only, and the CPU supports AVX2 by contract.
            unsafe {
                let larger = _mm256_cmp_ps::<_CMP_GT_OQ>(value, *best);
                *best = _mm256_blendv_ps(*best, value, larger);
                *kept = _mm256_blendv_epi8(*kept, tag, _mm256_castps_si256(larger));
            }
        }
    }
}

#[cfg(target_arch = "aarch64")]
pub(crate) use arm::Neon;

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::{Simd, Twice};
    use std::arch::aarch64::*;

    /// The 128-bit registers of NEON.
    #[derive(Clone, Copy)]
    pub(crate) struct Neon;

    // SAFETY (of every block in this implementation): NEON is part of the architecture, and
    // pointers are valid for one register or for `n` floats by the contract of the trait. The
    // functions that end in `_n` copy `n <= 4` floats to or from an array of four.
    #[rustfmt::skip] // one line an instruction
    impl Simd for Neon {
        const LANES: usize = 4;
        const ROWS: usize = 8;
        const VECTORS: usize = 3;
        type F32 = float32x4_t;
        type I32 = int32x4_t;
        type Wide = Twice<Twice<Neon>>;
        lanes! {
            fn splat(x: f32) -> float32x4_t { vdupq_n_f32(x) }
            fn load(from: *const f32) -> float32x4_t { vld1q_f32(from) }
            fn store(to: *mut f32, v: float32x4_t) { vst1q_f32(to, v) }
            fn load_n(from: *const f32, n: usize) -> float32x4_t { let mut x = [0.0; 4]; std::ptr::copy_nonoverlapping(from, x.as_mut_ptr(), n); Self::load(x.as_ptr()) }
            fn first_n(a: float32x4_t, n: usize, rest: float32x4_t) -> float32x4_t { vbslq_f32(vcgtq_u32(vdupq_n_u32(n as u32), vld1q_u32([0, 1, 2, 3].as_ptr())), a, rest) }
            fn store_n(to: *mut f32, v: float32x4_t, n: usize) { let mut x = [0.0; 4]; Self::store(x.as_mut_ptr(), v); std::ptr::copy_nonoverlapping(x.as_ptr(), to, n); }
            fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t { vaddq_f32(a, b) }
            fn sub(a: float32x4_t, b: float32x4_t) -> float32x4_t { vsubq_f32(a, b) }
            fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t { vmulq_f32(a, b) }
            fn div(a: float32x4_t, b: float32x4_t) -> float32x4_t { vdivq_f32(a, b) }
            fn mul_add(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t { vfmaq_f32(c, a, b) }
            fn max(a: float32x4_t, b: float32x4_t) -> float32x4_t { vbslq_f32(vcgtq_f32(a, b), a, b) }
            fn min(a: float32x4_t, b: float32x4_t) -> float32x4_t { vbslq_f32(vcltq_f32(a, b), a, b) }
            fn round(a: float32x4_t) -> float32x4_t { vrndnq_f32(a) }
            fn pow2(a: float32x4_t) -> float32x4_t { vreinterpretq_f32_s32(vshlq_n_s32::<23>(vaddq_s32(vcvtnq_s32_f32(a), vdupq_n_s32(127)))) }
            fn sum(a: float32x4_t) -> f32 { let a = vadd_f32(vget_low_f32(a), vget_high_f32(a)); vget_lane_f32::<0>(a) + vget_lane_f32::<1>(a) }
            fn largest(a: float32x4_t) -> f32 { let mut x = [0.0; 4]; Self::store(x.as_mut_ptr(), a); super::Portable::largest(x) }
            fn splat_i32(x: i32) -> int32x4_t { vdupq_n_s32(x) }
            fn load_i32(from: *const i32) -> int32x4_t { vld1q_s32(from) }
            fn store_i32(to: *mut i32, v: int32x4_t) { vst1q_s32(to, v) }
        }
        #[inline(always)]
        unsafe fn keep_larger(best: &mut float32x4_t, kept: &mut int32x4_t, value: float32x4_t, tag: int32x4_t) {
            // SAFETY: the functions work on registers only, and NEON is part of the architecture.
            unsafe {
                let larger = vcgtq_f32(value, *best);
                *best = vbslq_f32(larger, value, *best);
                *kept = vbslq_s32(larger, tag, *kept);
            }
        }
    }
}

#[cfg(all(target_feature = "simd128", feature = "relaxed-simd"))]
pub(crate) use wasm::Relaxed128;
#[cfg(target_feature = "simd128")]
pub(crate) use wasm::Simd128;

#[cfg(target_feature = "simd128")]
mod wasm {
    use super::{Simd, Twice, fused_in_doubt};
    use std::arch::wasm32::*;

    /// The 128-bit registers of WebAssembly.
    #[derive(Clone, Copy)]
    pub(crate) struct Simd128;

    /// The same registers with the fused multiply-add of relaxed SIMD, which the specification
    /// allows to round twice. It may be used only where [`is_fused`] says that it rounds once.
    #[cfg(feature = "relaxed-simd")]
    #[derive(Clone, Copy)]
    pub(crate) struct Relaxed128;

    /// Implements the trait for a type of registers by its multiply-add.
    macro_rules! registers {
        ($name:ident, ($a:ident, $b:ident, $c:ident) => $mul_add:expr) => {
            // SAFETY (of every block in this implementation): an engine that accepted the module
            // supports its instructions, and pointers are valid for one register or for `n` floats
            // by the contract of the trait. The functions that end in `_n` copy `n <= 4` floats to
            // or from an array of four. Loads and stores are unaligned.
            #[rustfmt::skip] // one line an instruction
            impl Simd for $name {
                const LANES: usize = 4;
                const ROWS: usize = 4;
                const VECTORS: usize = 2;
                type F32 = v128;
                type I32 = v128;
                type Wide = Twice<Twice<$name>>;
                #[inline(always)] unsafe fn splat(x: f32) -> v128 { f32x4_splat(x) }
                lanes! {
                    fn load(from: *const f32) -> v128 { v128_load(from.cast()) }
                    fn store(to: *mut f32, v: v128) { v128_store(to.cast(), v) }
                    fn load_n(from: *const f32, n: usize) -> v128 { let mut x = [0.0; 4]; std::ptr::copy_nonoverlapping(from, x.as_mut_ptr(), n); Self::load(x.as_ptr()) }
                }
                #[inline(always)] unsafe fn first_n(a: v128, n: usize, rest: v128) -> v128 { v128_bitselect(a, rest, i32x4_gt(i32x4_splat(n as i32), i32x4(0, 1, 2, 3))) }
                lanes! {
                    fn store_n(to: *mut f32, v: v128, n: usize) { let mut x = [0.0; 4]; Self::store(x.as_mut_ptr(), v); std::ptr::copy_nonoverlapping(x.as_ptr(), to, n); }
                }
                #[inline(always)] unsafe fn add(a: v128, b: v128) -> v128 { f32x4_add(a, b) }
                #[inline(always)] unsafe fn sub(a: v128, b: v128) -> v128 { f32x4_sub(a, b) }
                #[inline(always)] unsafe fn mul(a: v128, b: v128) -> v128 { f32x4_mul(a, b) }
                #[inline(always)] unsafe fn div(a: v128, b: v128) -> v128 { f32x4_div(a, b) }
                #[inline(always)] unsafe fn mul_add($a: v128, $b: v128, $c: v128) -> v128 { $mul_add }
                // `pmax(b, a)` is `if b < a { a } else { b }`, and `pmin(b, a)` is `if a < b { a } else { b }`.
                #[inline(always)] unsafe fn max(a: v128, b: v128) -> v128 { f32x4_pmax(b, a) }
                #[inline(always)] unsafe fn min(a: v128, b: v128) -> v128 { f32x4_pmin(b, a) }
                #[inline(always)] unsafe fn round(a: v128) -> v128 { f32x4_nearest(a) }
                #[inline(always)] unsafe fn pow2(a: v128) -> v128 { i32x4_shl(i32x4_add(i32x4_trunc_sat_f32x4(a), i32x4_splat(127)), 23) }
                #[inline(always)] unsafe fn sum(a: v128) -> f32 { let a = f32x4_add(a, i32x4_shuffle::<2, 3, 0, 1>(a, a)); f32x4_extract_lane::<0>(a) + f32x4_extract_lane::<1>(a) }
                #[inline(always)] unsafe fn largest(a: v128) -> f32 { let a = f32x4_pmax(i32x4_shuffle::<2, 3, 0, 1>(a, a), a); f32x4_extract_lane::<0>(f32x4_pmax(i32x4_shuffle::<1, 0, 2, 3>(a, a), a)) }
                #[inline(always)] unsafe fn splat_i32(x: i32) -> v128 { i32x4_splat(x) }
                lanes! {
                    fn load_i32(from: *const i32) -> v128 { v128_load(from.cast()) }
                    fn store_i32(to: *mut i32, v: v128) { v128_store(to.cast(), v) }
                }
                #[inline(always)]
                unsafe fn keep_larger(best: &mut v128, kept: &mut v128, value: v128, tag: v128) {
                    let larger = f32x4_gt(value, *best);
                    *best = v128_bitselect(value, *best, larger);
                    *kept = v128_bitselect(tag, *kept, larger);
                }
            }
        };
    }
    registers!(Simd128, (a, b, c) => fused(a, b, c));
    #[cfg(feature = "relaxed-simd")]
    registers!(Relaxed128, (a, b, c) => f32x4_relaxed_madd(a, b, c));

    /// Returns `a * b + c` rounded once, by the method of [`super::fused`] on registers of f64.
    #[inline(always)]
    fn fused(a: v128, b: v128, c: v128) -> v128 {
        let upper = |x| f64x2_promote_low_f32x4(i32x4_shuffle::<2, 3, 2, 3>(x, x));
        let sum = |a, b, c| f64x2_add(f64x2_mul(a, b), c);
        let low = f64x2_promote_low_f32x4;
        let sums = [sum(low(a), low(b), low(c)), sum(upper(a), upper(b), upper(c))];
        let doubt = |sum: v128| {
            // The sum lies half way between two f32.
            let bits = v128_and(sum, i64x2_splat(0x1fff_ffff));
            let tie = i64x2_eq(bits, i64x2_splat(0x1000_0000));
            // It is not zero but below the normal range of f32.
            let size = f64x2_abs(sum);
            let small = f64x2_lt(size, f64x2_splat(f64::from(f32::MIN_POSITIVE)));
            v128_or(tie, v128_and(small, f64x2_gt(size, f64x2_splat(0.0))))
        };
        if v128_any_true(v128_or(doubt(sums[0]), doubt(sums[1]))) {
            return in_doubt(a, b, c);
        }
        let [low, high] = sums.map(|sum| f32x4_demote_f64x2_zero(sum));
        i32x4_shuffle::<0, 1, 4, 5>(low, high)
    }

    /// Computes [`fused_in_doubt`] on registers.
    #[cold]
    #[inline(never)]
    fn in_doubt(a: v128, b: v128, c: v128) -> v128 {
        let lanes = |x| {
            let (a, b) = (f32x4_extract_lane::<0>(x), f32x4_extract_lane::<1>(x));
            [a, b, f32x4_extract_lane::<2>(x), f32x4_extract_lane::<3>(x)]
        };
        let [a, b, c, d] = fused_in_doubt(lanes(a), lanes(b), lanes(c));
        f32x4(a, b, c, d)
    }

    /// Returns whether the engine rounds the multiply-add of relaxed SIMD once. An engine does the
    /// same each time that it runs a module.
    #[cfg(feature = "relaxed-simd")]
    pub(super) fn is_fused() -> bool {
        #[target_feature(enable = "relaxed-simd")]
        fn square_less(x: f32, rounded: f32) -> f32 {
            let x = f32x4_splat(x);
            f32x4_extract_lane::<0>(f32x4_relaxed_madd(x, x, f32x4_splat(-rounded)))
        }
        // The square of 1 + 2^-12 is 1 + 2^-11 + 2^-24, of which rounding removes the last part.
        let x = std::hint::black_box(1.0 + f32::EPSILON * 2048.0);
        let rounded = std::hint::black_box(1.0 + f32::EPSILON * 4096.0);
        square_less(x, rounded) == f32::EPSILON / 2.0
    }
}

/// Plain Rust on arrays of four floats.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

/// Combines two arrays lane by lane.
#[inline(always)]
fn each(a: [f32; 4], b: [f32; 4], f: impl Fn(f32, f32) -> f32) -> [f32; 4] {
    [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])]
}

// SAFETY (of every block in this implementation): pointers are valid for four numbers or for
// `n <= 4` floats by the contract of the trait, and whole registers are read and written unaligned.
#[rustfmt::skip] // one line an operation
impl Simd for Portable {
    const LANES: usize = 4;
    const ROWS: usize = 4;
    const VECTORS: usize = 2;
    type F32 = [f32; 4];
    type I32 = [i32; 4];
    type Wide = Twice<Twice<Portable>>;
    #[inline(always)] unsafe fn splat(x: f32) -> [f32; 4] { [x; 4] }
    lanes! {
        fn load(from: *const f32) -> [f32; 4] { from.cast::<[f32; 4]>().read_unaligned() }
        fn store(to: *mut f32, v: [f32; 4]) { to.cast::<[f32; 4]>().write_unaligned(v) }
        fn load_n(from: *const f32, n: usize) -> [f32; 4] { let mut x = [0.0; 4]; std::ptr::copy_nonoverlapping(from, x.as_mut_ptr(), n); x }
    }
    #[inline(always)] unsafe fn first_n(a: [f32; 4], n: usize, rest: [f32; 4]) -> [f32; 4] { std::array::from_fn(|i| if i < n { a[i] } else { rest[i] }) }
    lanes! {
        fn store_n(to: *mut f32, v: [f32; 4], n: usize) { std::ptr::copy_nonoverlapping(v.as_ptr(), to, n) }
    }
    #[inline(always)] unsafe fn add(a: [f32; 4], b: [f32; 4]) -> [f32; 4] { each(a, b, |a, b| a + b) }
    #[inline(always)] unsafe fn sub(a: [f32; 4], b: [f32; 4]) -> [f32; 4] { each(a, b, |a, b| a - b) }
    #[inline(always)] unsafe fn mul(a: [f32; 4], b: [f32; 4]) -> [f32; 4] { each(a, b, |a, b| a * b) }
    #[inline(always)] unsafe fn div(a: [f32; 4], b: [f32; 4]) -> [f32; 4] { each(a, b, |a, b| a / b) }
    #[inline(always)] unsafe fn mul_add(a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] { fused(a, b, c) }
    #[inline(always)] unsafe fn max(a: [f32; 4], b: [f32; 4]) -> [f32; 4] { each(a, b, |a, b| if a > b { a } else { b }) }
    #[inline(always)] unsafe fn min(a: [f32; 4], b: [f32; 4]) -> [f32; 4] { each(a, b, |a, b| if a < b { a } else { b }) }
    #[inline(always)] unsafe fn round(a: [f32; 4]) -> [f32; 4] { a.map(f32::round_ties_even) }
    #[inline(always)] unsafe fn pow2(a: [f32; 4]) -> [f32; 4] { a.map(|x| f32::from_bits(((x as i32 + 127) as u32) << 23)) }
    #[inline(always)] unsafe fn sum(a: [f32; 4]) -> f32 { (a[0] + a[2]) + (a[1] + a[3]) }
    #[inline(always)] unsafe fn largest(a: [f32; 4]) -> f32 { let larger = |a, b| if a > b { a } else { b }; larger(larger(a[0], a[2]), larger(a[1], a[3])) }
    #[inline(always)] unsafe fn splat_i32(x: i32) -> [i32; 4] { [x; 4] }
    lanes! {
        fn load_i32(from: *const i32) -> [i32; 4] { from.cast::<[i32; 4]>().read_unaligned() }
        fn store_i32(to: *mut i32, v: [i32; 4]) { to.cast::<[i32; 4]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn keep_larger(best: &mut [f32; 4], kept: &mut [i32; 4], value: [f32; 4], tag: [i32; 4]) {
        for i in 0..4 {
            if value[i] > best[i] {
                best[i] = value[i];
                kept[i] = tag[i];
            }
        }
    }
}

/// Returns `a * b + c` rounded once, for targets whose baseline has no such instruction.
///
/// The product of two f32 is exact in f64. Rounding the sum to f64 and then to f32 differs from
/// rounding it once only if the f64 lies exactly half way between two f32, because rounding to f64
/// never crosses such a midpoint. Sums of this kind, and sums below the normal range of f32, are
/// computed again.
#[inline(always)]
fn fused(a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
    if cfg!(any(target_arch = "aarch64", target_feature = "fma")) {
        return std::array::from_fn(|i| a[i].mul_add(b[i], c[i]));
    }
    let sums: [f64; 4] =
        std::array::from_fn(|i| f64::from(a[i]) * f64::from(b[i]) + f64::from(c[i]));
    let mut doubt = false;
    for sum in sums {
        let (low, high) = (sum.to_bits() as u32, (sum.to_bits() >> 32) as i32 & i32::MAX);
        // The low bits test the 29 bits that f32 lacks; 0x3810_0000 is the upper half of the bits
        // of 2^-126.
        doubt |= (low & 0x1fff_ffff == 0x1000_0000) | ((high > 0) & (high < 0x3810_0000));
    }
    if doubt { fused_in_doubt(a, b, c) } else { sums.map(|sum| sum as f32) }
}

/// Returns `a * b + c` rounded once, for any numbers. The sum in f64 is rounded to odd, and the
/// result is rounded to f32. This equals rounding the exact sum, because f64 has more than two bits
/// over twice the 24 of f32 (Boldo and Melquiond, "Emulation of a FMA and Correctly Rounded Sums:
/// Proved Algorithms Using Rounding to Odd", 2008).
#[cold]
#[inline(never)]
fn fused_in_doubt(a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
    let sum = |i| round_to_odd(f64::from(a[i]) * f64::from(b[i]), f64::from(c[i])) as f32;
    std::array::from_fn(sum)
}

/// Returns `a + b` rounded to odd, for numbers whose sum neither overflows nor underflows. If
/// Knuth's TwoSum finds an error and the last bit is even, the neighbour on the side of the error
/// is returned.
#[inline(always)]
fn round_to_odd(a: f64, b: f64) -> f64 {
    let sum = a + b;
    let part = sum - a;
    let error = (a - (sum - part)) + (b - part);
    let bits = sum.to_bits();
    // An infinite sum has an error of NaN, which is not above 0.
    let move_on = u64::from(error.abs() > 0.0) & !bits;
    // The bits grow by one if the error points away from zero as the sum does, and else shrink by
    // one.
    let step = 1 | 0u64.wrapping_sub((error.to_bits() ^ bits) >> 63);
    f64::from_bits(bits.wrapping_add(step & 0u64.wrapping_sub(move_on & 1)))
}

/// Two registers that act as one with twice the lanes. The first register holds the lower lanes.
#[derive(Clone, Copy)]
pub(crate) struct Twice<S>(std::marker::PhantomData<S>);

// SAFETY (of every block in this implementation): the CPU supports `S` by the contract of the
// trait. A pointer is valid for `2 · S::LANES` numbers, of which each half gets `S::LANES`.
#[rustfmt::skip] // one line an operation
impl<S: Simd> Simd for Twice<S> {
    const LANES: usize = 2 * S::LANES;
    const ROWS: usize = S::ROWS;
    const VECTORS: usize = 1;
    type F32 = (S::F32, S::F32);
    type I32 = (S::I32, S::I32);
    type Wide = S::Wide;
    lanes! {
        fn splat(x: f32) -> Self::F32 { (S::splat(x), S::splat(x)) }
        fn load(from: *const f32) -> Self::F32 { (S::load(from), S::load(from.add(S::LANES))) }
        fn store(to: *mut f32, v: Self::F32) { S::store(to, v.0); S::store(to.add(S::LANES), v.1); }
    }
    #[inline(always)]
    unsafe fn load_n(from: *const f32, n: usize) -> Self::F32 {
        // SAFETY: the CPU supports `S`, and `from` is valid for `n` floats, of which the second
        // half gets those past `S::LANES`.
        unsafe {
            if n <= S::LANES {
                (S::load_n(from, n), S::splat(0.0))
            } else {
                (S::load(from), S::load_n(from.add(S::LANES), n - S::LANES))
            }
        }
    }
    lanes! {
        fn first_n(a: Self::F32, n: usize, rest: Self::F32) -> Self::F32 { (S::first_n(a.0, n.min(S::LANES), rest.0), S::first_n(a.1, n.saturating_sub(S::LANES), rest.1)) }
    }
    #[inline(always)]
    unsafe fn store_n(to: *mut f32, v: Self::F32, n: usize) {
        // SAFETY: the CPU supports `S`, and `to` is valid for `n` floats, of which the second half
        // gets those past `S::LANES`.
        unsafe {
            if n <= S::LANES {
                S::store_n(to, v.0, n);
            } else {
                S::store(to, v.0);
                S::store_n(to.add(S::LANES), v.1, n - S::LANES);
            }
        }
    }
    lanes! {
        fn add(a: Self::F32, b: Self::F32) -> Self::F32 { (S::add(a.0, b.0), S::add(a.1, b.1)) }
        fn sub(a: Self::F32, b: Self::F32) -> Self::F32 { (S::sub(a.0, b.0), S::sub(a.1, b.1)) }
        fn mul(a: Self::F32, b: Self::F32) -> Self::F32 { (S::mul(a.0, b.0), S::mul(a.1, b.1)) }
        fn div(a: Self::F32, b: Self::F32) -> Self::F32 { (S::div(a.0, b.0), S::div(a.1, b.1)) }
        fn mul_add(a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32 { (S::mul_add(a.0, b.0, c.0), S::mul_add(a.1, b.1, c.1)) }
        fn max(a: Self::F32, b: Self::F32) -> Self::F32 { (S::max(a.0, b.0), S::max(a.1, b.1)) }
        fn min(a: Self::F32, b: Self::F32) -> Self::F32 { (S::min(a.0, b.0), S::min(a.1, b.1)) }
        fn round(a: Self::F32) -> Self::F32 { (S::round(a.0), S::round(a.1)) }
        fn pow2(a: Self::F32) -> Self::F32 { (S::pow2(a.0), S::pow2(a.1)) }
        fn sum(a: Self::F32) -> f32 { S::sum(S::add(a.0, a.1)) }
        fn largest(a: Self::F32) -> f32 { S::largest(S::max(a.0, a.1)) }
        fn splat_i32(x: i32) -> Self::I32 { (S::splat_i32(x), S::splat_i32(x)) }
        fn load_i32(from: *const i32) -> Self::I32 { (S::load_i32(from), S::load_i32(from.add(S::LANES))) }
        fn store_i32(to: *mut i32, v: Self::I32) { S::store_i32(to, v.0); S::store_i32(to.add(S::LANES), v.1); }
    }
    #[inline(always)]
    unsafe fn keep_larger(best: &mut Self::F32, kept: &mut Self::I32, value: Self::F32, tag: Self::I32) {
        // SAFETY: the functions work on registers only, and the CPU supports `S` by contract.
        unsafe {
            S::keep_larger(&mut best.0, &mut kept.0, value.0, tag.0);
            S::keep_larger(&mut best.1, &mut kept.1, value.1, tag.1);
        }
    }
}

/// Checks that reductions run over sixteen lanes on every instruction set.
const _: () = {
    #[cfg(target_arch = "x86_64")]
    assert!(<Avx512 as Simd>::Wide::LANES == 16 && <Avx2 as Simd>::Wide::LANES == 16);
    #[cfg(target_arch = "aarch64")]
    assert!(<Neon as Simd>::Wide::LANES == 16);
    #[cfg(target_feature = "simd128")]
    assert!(<Simd128 as Simd>::Wide::LANES == 16);
    assert!(<Portable as Simd>::Wide::LANES == 16);
};

/// `n` floats, which may be a whole register.
#[inline(always)]
pub(crate) unsafe fn load_some<S: Simd>(from: *const f32, n: usize) -> S::F32 {
    // SAFETY: passed on.
    unsafe { if n == S::LANES { S::load(from) } else { S::load_n(from, n) } }
}

/// `n` floats, which may be a whole register.
#[inline(always)]
pub(crate) unsafe fn store_some<S: Simd>(to: *mut f32, v: S::F32, n: usize) {
    // SAFETY: passed on.
    unsafe { if n == S::LANES { S::store(to, v) } else { S::store_n(to, v, n) } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Generates f32 from the whole range: arbitrary bits, numbers of ordinary size, subnormal and
    /// small ones, and special values.
    fn number() -> impl Strategy<Value = f32> {
        let special = [
            0.0,
            -0.0,
            1.0,
            -1.0,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::NAN,
            f32::MAX,
            f32::MIN,
            f32::MIN_POSITIVE,
            f32::from_bits(1),
            -f32::from_bits(1),
            1.0 + f32::EPSILON,
            1.0 - f32::EPSILON / 2.0,
        ];
        prop_oneof![
            4 => any::<u32>().prop_map(f32::from_bits),
            4 => -2.0f32..2.0,
            1 => (0u32..1 << 24).prop_map(f32::from_bits),
            1 => proptest::sample::select(special.to_vec()),
        ]
    }

    /// Compares the portable function and the one for doubtful cases with the fused operation of
    /// std.
    fn check(a: f32, b: f32, c: f32) {
        let want = a.mul_add(b, c);
        let others = [0.5, 1.0, 3.0];
        let lanes = |x: f32| [others[0], x, others[1], others[2]];
        for got in [fused(lanes(a), lanes(b), lanes(c)), fused_in_doubt([a; 4], [b; 4], [c; 4])] {
            let same = got[1].to_bits() == want.to_bits() || got[1].is_nan() && want.is_nan();
            assert!(same, "{a:e} * {b:e} + {c:e} is {want:e}, not {:e}", got[1]);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn portable_products_are_fused(a in number(), b in number(), c in number(), ulps in -3i32..4) {
            check(a, b, c);
            // These sums cancel or lie half way between two numbers.
            let near = |x: f32| f32::from_bits(x.to_bits().wrapping_add_signed(ulps));
            check(a, b, near(-(a * b)));
            check(a, b, near(a * b));
            check(near(a), f32::EPSILON / 2.0, a);
            check(near(1.0), near(1.0), c);
            check(a, near(1.0), near(-a));
            check(a, f32::from_bits(0x3380_0000).copysign(b), near(a));
        }
    }

    /// Covers overflow, underflow and ties, which random numbers seldom hit.
    #[test]
    fn edges_are_fused() {
        let tiny = f32::from_bits(1);
        let edges = [
            0.0,
            -0.0,
            tiny,
            -tiny,
            3.0 * tiny,
            f32::MIN_POSITIVE,
            -f32::MIN_POSITIVE,
            f32::EPSILON,
            f32::EPSILON / 2.0,
            0.5,
            1.0,
            -1.0,
            1.0 + f32::EPSILON,
            1.5,
            2.0,
            16_777_215.0,
            16_777_217.0,
            f32::MAX,
            f32::MIN,
            f32::MAX / 2.0,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::NAN,
        ];
        for a in edges {
            for b in edges {
                for c in edges {
                    check(a, b, c);
                }
            }
        }
    }

    simd_function! {
        /// # Safety
        ///
        /// The pointer `x` must be valid for 16 floats and `out` for 2.
        fn reduce(x: *const f32, out: *mut f32) = reduce_kernel;
    }

    /// # Safety
    ///
    /// The contract of [`reduce`] must hold, and the CPU must support `S`.
    #[inline(always)]
    unsafe fn reduce_kernel<S: Simd>(x: *const f32, out: *mut f32) {
        // SAFETY: the caller upholds the contract, and `S::Wide` has sixteen lanes.
        unsafe {
            let x = S::Wide::load(x);
            *out = S::Wide::sum(x);
            *out.add(1) = S::Wide::largest(x);
        }
    }

    /// Checks that sums and maxima halve the lanes in the order that the trait states, also with
    /// NaN and with zeros of both signs.
    #[test]
    fn reductions_halve() {
        let halve = |x: [f32; 16], f: fn(f32, f32) -> f32| {
            let mut x = x;
            for width in [8, 4, 2, 1] {
                for i in 0..width {
                    x[i] = f(x[i], x[i + width]);
                }
            }
            x[0]
        };
        let mut state = 1u32;
        for round in 0..2000 {
            let x: [f32; 16] = std::array::from_fn(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                match (round % 4, state >> 29) {
                    (1, 0) => f32::NAN,
                    (2, 0) => 0.0,
                    (2, _) => -0.0,
                    _ => (state >> 8) as f32 / 4096.0 - 2048.0,
                }
            });
            let sum = halve(x, |a, b| a + b);
            let largest = halve(x, |a, b| if a > b { a } else { b });
            for isa in Isa::supported() {
                let mut out = [0.0; 2];
                // SAFETY: the arrays have 16 and 2 floats.
                unsafe { reduce(isa, x.as_ptr(), out.as_mut_ptr()) };
                for (got, want) in out.into_iter().zip([sum, largest]) {
                    let same = got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan();
                    assert!(same, "{isa} {x:?}: {got}, not {want}");
                }
            }
        }
    }
}
