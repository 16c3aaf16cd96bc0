//! Signatures of webhooks, by the Standard Webhooks specification: HMAC-SHA256 over id, time and body, so that a receiver
//! knows who sent it and that it is no recording.

use crate::config::webhook_key;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Signs with one webhook's secret.
pub struct Signer(hmac::Key);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret is `whsec_` and base64 of 24 to 64 bytes")]
pub struct SignerError;

impl Signer {
    pub fn new(secret: &str) -> Result<Self, SignerError> {
        let key = webhook_key(secret).ok_or(SignerError)?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }

    /// The value of `webhook-signature` beside `webhook-id` and `webhook-timestamp` (Unix seconds).
    pub fn sign(&self, id: &str, seconds: i64, body: &str) -> String {
        let tag = hmac::sign(&self.0, format!("{id}.{seconds}.{body}").as_bytes());
        format!("v1,{}", STANDARD.encode(tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_as_the_specification_says() {
        // 24 zero bytes; the tag was computed by another implementation.
        let signer = Signer::new("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").unwrap();
        let signature = signer.sign("msg_1", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,Bl1a0SVt78DCV06Rvr6oSEMbCaFysVu27en9cW0mNBI=");
    }

    #[test]
    fn a_secret_that_is_none_is_refused() {
        for secret in ["", "whsec_", "whsec_c2hvcnQ=", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "whsec_%%%"] {
            assert!(Signer::new(secret).is_err(), "{secret}");
        }
    }
}
