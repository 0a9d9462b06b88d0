//! Whether this process may use AMX (Advanced Matrix Extensions) with bfloat16.
#![allow(unsafe_code, reason = "Linux gives the registers of AMX to a process by a system call")]

use std::arch::x86_64::__cpuid_count;
use std::sync::LazyLock;

/// Returns whether the CPU has AMX with bfloat16 and the kernel lets this process use it.
pub(crate) fn is_supported() -> bool {
    static SUPPORTED: LazyLock<bool> = LazyLock::new(|| {
        // CPUID leaf 7 tells of AMX in EDX: bit 22 is AMX-BF16 and bit 24 is AMX-TILE.
        const AMX: u32 = 1 << 22 | 1 << 24;
        is_x86_feature_detected!("avx512bf16")
            && __cpuid_count(7, 0).edx & AMX == AMX
            && request_tiles()
    });
    *SUPPORTED
}

/// Asks the kernel for the registers of AMX. Linux gives them to a process that asks.
#[cfg(target_os = "linux")]
fn request_tiles() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_long = 18;
    // SAFETY: this call takes two numbers and changes only what the process may use.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
}

/// Other systems are not asked.
#[cfg(not(target_os = "linux"))]
fn request_tiles() -> bool {
    false
}
