//! A packed dictionary, as it is and with a checksum that holds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use splade_text::check_packed_dictionary;

fuzz_target!(|bytes: &[u8]| {
    let _ = check_packed_dictionary(bytes);
    let mut file = b"SPLMECAB\x01\0\0\0".to_vec();
    file.extend(crc32fast::hash(bytes).to_le_bytes());
    file.extend_from_slice(bytes);
    let _ = check_packed_dictionary(&file);
});
