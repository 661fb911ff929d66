use sha2::{Digest, Sha256};

/// A short fingerprint of some bytes: equal bytes have equal ones, on every machine and in every run.
///
/// The first 8 octets of SHA-256; for telling whether something changed, not for keeping anyone out.
pub fn fingerprint(bytes: &[u8]) -> u64 {
    Sha256::digest(bytes).iter().take(8).fold(0, |value, octet| value << 8 | u64::from(*octet))
}
