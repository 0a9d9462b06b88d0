//! Files that another program cuts off while they are mapped into memory.
//!
//! Index segments, the Japanese dictionary and tables of training data are mapped. When such a file
//! becomes shorter, the system sends SIGBUS to whoever reads beyond its new end, which would end the
//! program without a word. The program (and never the library) handles the signal: it names the
//! file and ends with exit code 1. Weights are read into memory, where a short file is an ordinary
//! error.
//!
//! The handler may run at any point of the program, so it calls only functions of the system that
//! POSIX calls async-signal-safe, and allocates nothing.

/// From now on, a mapped file that was cut off ends the program with a message.
#[cfg(target_os = "linux")]
pub(crate) fn watch() {
    linux::install();
}

/// Other systems tell a cut-off file in other ways; there is no message.
#[cfg(not(target_os = "linux"))]
pub(crate) fn watch() {}

#[cfg(target_os = "linux")]
mod linux {
    #![allow(unsafe_code, reason = "a signal handler calls the system directly")]

    use std::mem::MaybeUninit;

    /// The longest line of `/proc/self/maps` that is looked at.
    const LINE: usize = 4608;

    pub(super) fn install() {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) = handle;
        // SAFETY: zeros are a valid action, and `handler` has the form that SA_SIGINFO asks for. It
        // runs on the stack that the standard library set aside for signals.
        unsafe {
            let action = action.assume_init_mut();
            action.sa_sigaction = handler as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigemptyset(&raw mut action.sa_mask);
            libc::sigaction(libc::SIGBUS, action, std::ptr::null_mut());
        }
    }

    extern "C" fn handle(_: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
        // SAFETY: with SA_SIGINFO, the system gives a valid description of the signal. All other
        // calls are async-signal-safe and get pointers to buffers of the stack with their lengths.
        unsafe {
            let (code, address) = ((*info).si_code, (*info).si_addr() as usize);
            if code != libc::BUS_ADRERR {
                // It is another fault, so it has the usual end.
                libc::signal(libc::SIGBUS, libc::SIG_DFL);
                libc::raise(libc::SIGBUS);
                return;
            }
            say(b"error: another program cut off a file while it was being read");
            name_file(address);
            say(b"; let nothing write to files in use, and start again when it is whole\n");
            libc::_exit(1);
        }
    }

    /// # Safety
    ///
    /// There is no precondition; the call of the system is what makes it unsafe.
    unsafe fn say(text: &[u8]) {
        // SAFETY: the pointer and the length are those of the slice.
        unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
    }

    /// Writes the name of the file that is mapped at an address, if the system knows it.
    ///
    /// # Safety
    ///
    /// There is no precondition; the calls of the system are what makes it unsafe.
    unsafe fn name_file(address: usize) {
        let mut line = [0u8; LINE];
        let mut len = 0;
        // SAFETY: the path ends with a zero byte, and every read stays within its buffer.
        unsafe {
            let maps = libc::open(c"/proc/self/maps".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
            if maps < 0 {
                return;
            }
            let mut block = [0u8; 1024];
            loop {
                let count = libc::read(maps, block.as_mut_ptr().cast(), block.len());
                if count <= 0 {
                    break;
                }
                for byte in block.iter().take(count as usize) {
                    if *byte != b'\n' {
                        if let Some(place) = line.get_mut(len) {
                            *place = *byte;
                            len += 1;
                        }
                        continue;
                    }
                    if let Some(name) = super::name_at(line.get(..len).unwrap_or_default(), address)
                    {
                        say(b": ");
                        say(name);
                        libc::close(maps);
                        return;
                    }
                    len = 0;
                }
            }
            libc::close(maps);
        }
    }
}

/// Returns the name of the file in a line of `/proc/self/maps` if the line is about the address.
#[cfg(target_os = "linux")]
fn name_at(line: &[u8], address: usize) -> Option<&[u8]> {
    let number = |hex: &[u8]| {
        hex.iter().try_fold(0usize, |n, digit| {
            let digit = (*digit as char).to_digit(16)?;
            n.checked_mul(16)?.checked_add(digit as usize)
        })
    };
    let dash = line.iter().position(|byte| *byte == b'-')?;
    let blank = line.iter().position(|byte| *byte == b' ')?;
    let (start, end) = (number(line.get(..dash)?)?, number(line.get(dash + 1..blank)?)?);
    let name = line.iter().position(|byte| *byte == b'/')?;
    (start..end).contains(&address).then(|| line.get(name..))?
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(unsafe_code, reason = "a file is mapped by a call of the system")]

    use std::fs::File;
    use std::os::fd::AsRawFd;
    use std::process::Command;

    use super::name_at;

    /// The variable that names the file for the process that is ended by the signal.
    const CHILD: &str = "TEST_OF_A_TRUNCATED_FILE";

    /// Maps a file, cuts it off and reads from it, in a process of its own.
    #[test]
    fn a_file_that_is_cut_off_is_named() {
        if let Some(path) = std::env::var_os(CHILD) {
            super::watch();
            let file = File::options().read(true).write(true).open(path).expect("a file");
            // SAFETY: the file has 8192 bytes, and the system chooses the address.
            let map = unsafe {
                let (read, shared) = (libc::PROT_READ, libc::MAP_SHARED);
                libc::mmap(std::ptr::null_mut(), 8192, read, shared, file.as_raw_fd(), 0)
            };
            assert!(map != libc::MAP_FAILED, "the file is mapped");
            file.set_len(0).expect("cut off");
            // SAFETY: the address lies in the mapping. The system answers with a signal.
            let byte = unsafe { map.cast::<u8>().add(5000).read_volatile() };
            panic!("{byte} was read from a file that has no such byte");
        }
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("segment-000001.spl");
        std::fs::write(&path, [7; 8192]).expect("written");
        let name = "truncated::tests::a_file_that_is_cut_off_is_named";
        let child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", name, "--nocapture"])
            .env(CHILD, &path)
            .output()
            .expect("a process");
        let message = String::from_utf8_lossy(&child.stderr);
        assert_eq!(child.status.code(), Some(1), "{message}");
        let path = path.to_str().expect("UTF-8");
        assert!(message.contains("cut off") && message.contains(path), "{message}");
    }

    #[test]
    fn the_line_of_an_address_names_its_file() {
        let line = b"7f00a000-7f00c000 r--s 00000000 08:01 42    /data/an index/segment-1";
        for (address, wanted) in [
            (0x7f00_a000, Some(&b"/data/an index/segment-1"[..])),
            (0x7f00_bfff, Some(b"/data/an index/segment-1")),
            (0x7f00_c000, None),
            (0x7f00_9fff, None),
        ] {
            assert_eq!(name_at(line, address), wanted, "{address:x}");
        }
        assert_eq!(name_at(b"7f00a000-7f00c000 rw-p 00000000 00:00 0", 0x7f00_a000), None);
        for line in ["", "-", "x-y z /", "7f00a000"] {
            assert_eq!(name_at(line.as_bytes(), 0), None, "{line}");
        }
    }
}
