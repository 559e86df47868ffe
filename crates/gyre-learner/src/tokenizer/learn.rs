use std::collections::BTreeMap;

use super::Tokenizer;

/// Pairs seen less often than this are not worth a token.
const COUNT_MIN: u64 = 4;

/// Adds the merges that shorten the pieces most, greedily, at most so many.
/// Equal counts go to the lower pair of ids, so the result does not depend on
/// any map's order.
pub(super) fn learn<'a>(
    tokenizer: &mut Tokenizer,
    pieces: impl Iterator<Item = &'a [u8]>,
    merges_max: usize,
) {
    let mut counts: BTreeMap<&[u8], u64> = BTreeMap::new();
    for piece in pieces {
        *counts.entry(piece).or_default() += 1;
    }
    let encode = |(piece, count)| {
        let mut tokens = Vec::new();
        tokenizer.encode_piece(piece, &mut tokens);
        (tokens, count)
    };
    let mut words: Vec<(Vec<u32>, u64)> = counts.into_iter().map(encode).collect();
    for _ in 0..merges_max {
        let Some(pair) = most_frequent_pair(&words) else { break };
        let made = tokenizer.len() as u32;
        words.iter_mut().for_each(|(tokens, _)| join(tokens, pair, made));
        tokenizer.push(pair);
    }
}

fn most_frequent_pair(words: &[(Vec<u32>, u64)]) -> Option<(u32, u32)> {
    let mut counts: BTreeMap<(u32, u32), u64> = BTreeMap::new();
    for (tokens, count) in words {
        for pair in tokens.windows(2) {
            *counts.entry((pair[0], pair[1])).or_default() += count;
        }
    }
    let frequent = counts.into_iter().filter(|(_, count)| *count >= COUNT_MIN);
    let order = |(pair, count): &((u32, u32), u64)| (*count, std::cmp::Reverse(*pair));
    frequent.max_by_key(order).map(|(pair, _)| pair)
}

fn join(tokens: &mut Vec<u32>, pair: (u32, u32), made: u32) {
    let mut at = 0;
    while at + 1 < tokens.len() {
        if (tokens[at], tokens[at + 1]) == pair {
            tokens[at] = made;
            tokens.remove(at + 1);
        }
        at += 1;
    }
}
