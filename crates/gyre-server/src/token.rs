use std::fmt;

use gyre_types::Digest;

/// What a caller must know to be let in. Kept and compared as a digest, so that
/// neither memory nor timing tells of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Digest);

/// Bytes of a token, at least: shorter ones are guessed.
const BYTES_MIN: usize = 16;

impl Token {
    /// A token, if the text is long enough to be one.
    ///
    /// # Errors
    ///
    /// Says what is asked of a token.
    pub fn new(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.len() < BYTES_MIN {
            return Err(format!(
                "the token has {} bytes, at least {BYTES_MIN} are asked for; `openssl rand -hex 24` makes one",
                text.len()
            ));
        }
        Ok(Self(Digest::of(text.as_bytes())))
    }

    /// Whether this is the token.
    pub(crate) fn admits(&self, text: &str) -> bool {
        same(&self.0, &Digest::of(text.trim().as_bytes()))
    }

    /// What a signed-in browser keeps in place of the token.
    pub(crate) fn cookie(&self) -> String {
        Digest::of_parts([b"gyre-session".as_slice(), self.0.as_bytes()]).to_hex()
    }

    /// Whether a browser's cookie was made from the token.
    pub(crate) fn admits_cookie(&self, text: &str) -> bool {
        same(&Digest::of(self.cookie().as_bytes()), &Digest::of(text.as_bytes()))
    }
}

/// Compares every byte, whichever differs first.
fn same(a: &Digest, b: &Digest) -> bool {
    a.as_bytes().iter().zip(b.as_bytes()).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_and_its_cookie_are_let_in() {
        let token = Token::new("0123456789abcdef").unwrap();
        assert!(token.admits(" 0123456789abcdef\n"));
        assert!(!token.admits("0123456789abcdeF") && !token.admits(""));
        assert!(token.admits_cookie(&token.cookie()));
        assert!(!token.admits_cookie("0123456789abcdef"));
        assert!(!format!("{token:?}").contains("0123"));
        assert!(Token::new("short").is_err());
    }
}
