//! A byte-level BPE tokenizer in the format of Hugging Face's `tokenizers`.
//!
//! Text is first cut at digits and at newlines with their indent; merges never
//! cross such a cut. Merges are learned in two stages: within lexical pieces
//! (a word with its leading space, a run of punctuation) of all texts, and then
//! over their borders in code alone, so that what code repeats is one token
//! while the words of a request stay apart.
//! Every byte is a token, so there is no text that cannot be encoded.

mod learn;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use gyre_types::Digest;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::LearnerError;

/// What no merge crosses, as the `Split` pre-tokenizer of `tokenizers` writes it.
const PIECES: &str = r"\n *|[0-9]|[^\n0-9]+";

/// Tokens that no text encodes to.
pub(crate) const SPECIALS: [&str; 8] = [
    "<|pad|>",
    "<|begin|>",
    "<|user|>",
    "<|assistant|>",
    "<|end|>",
    "<|reserved_0|>",
    "<|reserved_1|>",
    "<|reserved_2|>",
];
pub(crate) const PAD: u32 = 0;
pub(crate) const BEGIN: u32 = 1;
pub(crate) const USER: u32 = 2;
pub(crate) const ASSISTANT: u32 = 3;
pub(crate) const END: u32 = 4;

const FIRST_BYTE: u32 = SPECIALS.len() as u32;
const FIRST_MERGE: u32 = FIRST_BYTE + 256;

/// How `tokenizer_config.json` says that a conversation is laid out.
pub(crate) const CHAT_TEMPLATE: &str = "{{ '<|begin|>' }}{% for message in messages %}\
     {% if message['role'] == 'assistant' %}{{ '<|assistant|>' + message['content'] + '<|end|>' }}\
     {% else %}{{ '<|user|>' + message['content'] }}{% endif %}{% endfor %}\
     {% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";

/// Turns text into tokens and back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokenizer {
    /// The bytes of each token; empty for special tokens.
    bytes: Vec<Vec<u8>>,
    /// Pairs merged, in the order learned; the nth makes token `FIRST_MERGE + n`.
    merges: Vec<(u32, u32)>,
    ranks: HashMap<(u32, u32), u32>,
}

#[derive(Serialize, Deserialize)]
struct File {
    model: Model,
}

#[derive(Serialize, Deserialize)]
struct Model {
    vocab: BTreeMap<String, u32>,
    merges: Vec<(String, String)>,
}

impl Tokenizer {
    /// Learns at most `merges_max` merges within lexical pieces of requests and
    /// code, then at most `phrases_max` over their borders in code.
    pub fn learn(
        requests: &[&str],
        code: &[&str],
        (merges_max, phrases_max): (usize, usize),
    ) -> Self {
        let mut own = Self::from_merges(&[]);
        let all = requests.iter().chain(code).flat_map(|text| lexical(text.as_bytes()));
        learn::learn(&mut own, all, merges_max);
        let code = code.iter().flat_map(|text| pieces(text.as_bytes()));
        learn::learn(&mut own, code, phrases_max);
        own
    }

    fn from_merges(merges: &[(u32, u32)]) -> Self {
        let mut bytes = vec![Vec::new(); SPECIALS.len()];
        bytes.extend((0..=255).map(|byte| vec![byte]));
        let mut own = Self { bytes, merges: Vec::new(), ranks: HashMap::new() };
        merges.iter().for_each(|pair| own.push(*pair));
        own
    }

    fn push(&mut self, (left, right): (u32, u32)) {
        let joined = [self.bytes[left as usize].as_slice(), &self.bytes[right as usize]].concat();
        self.ranks.insert((left, right), self.merges.len() as u32);
        self.merges.push((left, right));
        self.bytes.push(joined);
    }

    /// Tokens in all.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is no token; never so.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Encodes text; what spells a special token is encoded as the text it is.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut tokens = Vec::with_capacity(text.len() / 2);
        for piece in pieces(text.as_bytes()) {
            self.encode_piece(piece, &mut tokens);
        }
        tokens
    }

    fn encode_piece(&self, piece: &[u8], tokens: &mut Vec<u32>) {
        let start = tokens.len();
        tokens.extend(piece.iter().map(|byte| FIRST_BYTE + u32::from(*byte)));
        loop {
            let pairs = tokens[start..].windows(2).enumerate();
            let best = pairs
                .filter_map(|(at, pair)| Some((*self.ranks.get(&(pair[0], pair[1]))?, at)))
                .min();
            let Some((rank, at)) = best else { break };
            tokens[start + at] = FIRST_MERGE + rank;
            tokens.remove(start + at + 1);
        }
    }

    /// Decodes tokens. Special and unknown tokens are nothing, and bytes that
    /// are no UTF-8 become replacement characters.
    pub fn decode(&self, tokens: &[u32]) -> String {
        let known = tokens.iter().filter_map(|token| self.bytes.get(*token as usize));
        String::from_utf8_lossy(&known.flatten().copied().collect::<Vec<_>>()).into_owned()
    }

    /// The prompt of a one-message conversation, up to where the answer starts.
    pub(crate) fn encode_prompt(&self, prompt: &str) -> Vec<u32> {
        let mut tokens = vec![BEGIN, USER];
        tokens.extend(self.encode(prompt));
        tokens.push(ASSISTANT);
        tokens
    }

    /// The text of `tokenizer.json`.
    pub(crate) fn to_json(&self) -> String {
        let added = SPECIALS.iter().enumerate().map(|(id, content)| {
            json!({ "id": id, "content": content, "single_word": false, "lstrip": false,
                    "rstrip": false, "normalized": false, "special": true })
        });
        let split = json!({ "type": "Split", "pattern": { "Regex": PIECES },
                            "behavior": "Isolated", "invert": false });
        let byte_level = json!({ "type": "ByteLevel", "add_prefix_space": false,
                                 "trim_offsets": false, "use_regex": false });
        let file = json!({
            "version": "1.0", "truncation": null, "padding": null,
            "added_tokens": added.collect::<Vec<_>>(),
            "normalizer": null,
            "pre_tokenizer": { "type": "Sequence", "pretokenizers": [split, byte_level] },
            "post_processor": null,
            "decoder": byte_level,
            "model": {
                "type": "BPE", "dropout": null, "unk_token": null,
                "continuing_subword_prefix": null, "end_of_word_suffix": null,
                "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                "vocab": self.vocab(), "merges": self.merges_as_text(),
            },
        });
        format!("{file:#}\n")
    }

    fn vocab(&self) -> BTreeMap<String, u32> {
        let name = |(id, bytes): (usize, &Vec<u8>)| {
            let name = SPECIALS.get(id).map_or_else(|| spell(bytes), |name| (*name).to_owned());
            (name, id as u32)
        };
        self.bytes.iter().enumerate().map(name).collect()
    }

    fn merges_as_text(&self) -> Vec<(String, String)> {
        let name = |id: u32| spell(&self.bytes[id as usize]);
        self.merges.iter().map(|(left, right)| (name(*left), name(*right))).collect()
    }

    /// Reads `tokenizer.json`, which must be laid out as [`Tokenizer`] lays it out.
    pub(crate) fn from_json(text: &str, path: &Path) -> Result<Self, LearnerError> {
        let file: File =
            serde_json::from_str(text).map_err(|error| LearnerError::corrupt(path, error))?;
        let id = |name: &String| file.model.vocab.get(name).copied();
        let merges = file.model.merges.iter().map(|(left, right)| Some((id(left)?, id(right)?)));
        let merges: Option<Vec<_>> = merges.collect();
        let ordered = |merges: &Vec<(u32, u32)>| {
            (FIRST_MERGE..).zip(merges).all(|(own, (left, right))| {
                (FIRST_BYTE..own).contains(left) && (FIRST_BYTE..own).contains(right)
            })
        };
        let own = merges.filter(ordered).map(|merges| Self::from_merges(&merges));
        own.filter(|own| own.vocab() == file.model.vocab)
            .ok_or_else(|| LearnerError::corrupt(path, "not a tokenizer that Gyre wrote"))
    }

    /// Identifies the tokenizer: the digest of `tokenizer.json`.
    pub fn digest(&self) -> Digest {
        Digest::of(self.to_json().as_bytes())
    }
}

/// Cuts text into the pieces of [`PIECES`].
fn pieces(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    cut(text, |text| match text[0] {
        b'\n' => 1 + run(&text[1..], |b| b == b' '),
        b'0'..=b'9' => 1,
        _ => run(text, |b| b != b'\n' && !b.is_ascii_digit()),
    })
}

/// Cuts text finer than [`pieces`], where words and punctuation meet.
fn lexical(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    cut(text, |text| match text[0] {
        b'\n' => 1 + run(&text[1..], |b| b == b' '),
        b'0'..=b'9' => 1,
        b' ' => 1 + run(&text[1..], is_word).max(run(&text[1..], is_mark)),
        first if is_word(first) => run(text, is_word),
        _ => run(text, is_mark),
    })
}

/// Cuts text into pieces whose length `next` tells from what is left.
fn cut(mut text: &[u8], next: impl Fn(&[u8]) -> usize) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        if text.is_empty() {
            return None;
        }
        let (piece, rest) = text.split_at(next(text));
        text = rest;
        Some(piece)
    })
}

/// Bytes of one class that a text starts with.
fn run(text: &[u8], class: fn(u8) -> bool) -> usize {
    text.iter().take_while(|byte| class(**byte)).count()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

fn is_mark(byte: u8) -> bool {
    !(is_word(byte) || byte.is_ascii_digit() || byte == b' ' || byte == b'\n')
}

/// Bytes in the alphabet of the `ByteLevel` pre-tokenizer: printable Latin-1
/// stands for itself, every other byte for the next character from U+0100.
fn spell(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| byte_name(*byte)).collect()
}

fn byte_name(byte: u8) -> char {
    let printable = |b: u8| matches!(b, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if printable(byte) {
        return char::from(byte);
    }
    let nth = (0..byte).filter(|b| !printable(*b)).count() as u32;
    char::from_u32(0x100 + nth).unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(pieces: impl Iterator<Item = &'static [u8]>) -> Vec<&'static str> {
        pieces.map(|piece| std::str::from_utf8(piece).unwrap()).collect()
    }

    #[test]
    fn text_is_cut_where_the_pattern_says() {
        let code = b"def solve(x):\n    x = [v**2 for v in x]  \n".as_slice();
        assert_eq!(
            texts(lexical(code)),
            [
                "def", " solve", "(", "x", "):", "\n    ", "x", " =", " [", "v", "**", "2", " for",
                " v", " in", " x", "]", " ", " ", "\n"
            ]
        );
        let wide = ["def solve(x):", "\n    ", "x = [v**", "2", " for v in x]  ", "\n"];
        assert_eq!(texts(pieces(code)), wide);
    }

    #[test]
    fn every_text_survives_the_way_there_and_back() {
        let text = "Given a list, keep 12 é\u{1F600} <|end|>\n\n  return\tx\r";
        for merges in [0, 20] {
            let tokenizer = Tokenizer::learn(&[text; 4], &[text; 4], (merges, merges));
            assert_eq!(tokenizer.decode(&tokenizer.encode(text)), text);
            assert!(tokenizer.len() <= 264 + 2 * merges);
            let file = tokenizer.to_json();
            assert_eq!(Tokenizer::from_json(&file, Path::new("t")).unwrap(), tokenizer);
        }
    }

    #[test]
    fn frequent_pairs_merge_first_digits_never_and_words_only_in_code() {
        let request = ["abab ab 1111 11 ab"; 4];
        let tokenizer = Tokenizer::learn(&request, &["x in x"; 9], (20, 20));
        assert_eq!(tokenizer.merges_as_text()[0], ("a".to_owned(), "b".to_owned()));
        assert_eq!(tokenizer.encode("11").len(), 2);
        assert_eq!(tokenizer.encode("ab ab").len(), 2);
        assert_eq!(tokenizer.encode("x in x").len(), 1);
    }
}
