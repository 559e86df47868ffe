//! The signature of a webhook's request.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The value of `Gyre-Signature`: `t=<unix seconds>,v1=<hex>`, where `v1` is the
/// HMAC-SHA256 of `<unix seconds>.<body>` (RFC 2104). The time is signed with the body,
/// so that the other side can refuse a request that somebody sends again later.
pub(super) fn sign(key: &[u8], at_s: i64, body: &[u8]) -> String {
    // HMAC takes keys of any length; a shorter or longer one is padded or digested.
    let mut mac =
        <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(format!("{at_s}.").as_bytes());
    mac.update(body);
    let digest = mac.finalize().into_bytes();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={at_s},v1={hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed by Python: `hmac.new(key, b"1700000000." + body, "sha256").hexdigest()`.
    #[test]
    fn a_signature_is_that_of_other_implementations() {
        assert_eq!(
            sign(b"whsec-0123456789", 1_700_000_000, b"{\"event\":\"promotion\"}"),
            "t=1700000000,v1=304f26c9fbdbd440c1cf7c89f51ee960bf33689ffb3d3d214399f6970dd2aef9"
        );
        let long = [7; 200];
        assert_eq!(
            sign(&long, 0, b""),
            "t=0,v1=7a5f8d638fb80def3348294b98a0330c54448a2bc73d8bc11b48994cb38d31f1"
        );
    }
}
