//! The Python code of an answer in text: what a model that calls no tools submits.
//!
//! Blocks follow CommonMark's fenced code blocks, with what models do beside it:
//! see [`code`].

use gyre_types::split_reasoning;

mod bare;
mod fence;

use bare::{bare_code, defines, looks_like_code};
use fence::{Fence, FenceLine, Info, is_python};

/// Fences within fences that are followed; deeper ones are text.
const DEPTH_MAX: u32 = 4;

/// The code that an answer gives, without its fence and common indentation, and
/// with one line feed at its end; nothing where there is none.
///
/// `entry` is the name that the code has to define, if any. `opened` says that the
/// prompt ended with an opening fence, so that the answer begins inside of a block.
///
/// Reasoning is no answer, so drafts in it are passed over. Of several blocks the
/// last whole one that defines `entry` counts; then one that was cut off; then code
/// without a fence. Where nothing defines `entry`, the last block counts, so that
/// the caller can say what is wrong with it.
pub(crate) fn code(text: &str, entry: Option<&str>, opened: bool) -> Option<String> {
    let answer = split_reasoning(text).answer;
    let lines: Vec<&str> = answer.lines().collect();
    let scan = scan(&lines, opened, 0);
    let defining = entry
        .and_then(|entry| scan.defining(entry).or_else(|| bare_code(&scan.before, Some(entry))));
    let chosen = defining.or_else(|| scan.last()).or_else(|| bare_code(&scan.before, None))?;
    text_of(&chosen)
}

/// The lines of an answer, sorted.
#[derive(Debug, Default)]
struct Scan<'a> {
    blocks: Vec<Block<'a>>,
    /// What stands before the first fence.
    before: Vec<&'a str>,
}

#[derive(Debug)]
struct Block<'a> {
    language: Language,
    lines: Vec<&'a str>,
    is_whole: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    Python,
    Unnamed,
    Other,
}

/// A block that is being read.
struct Open<'a> {
    /// Nothing where the prompt opened it: any fence closes it then.
    fence: Option<Fence>,
    language: Language,
    lines: Vec<&'a str>,
}

fn scan<'a>(lines: &[&'a str], opened: bool, depth: u32) -> Scan<'a> {
    let mut scan = Scan::default();
    let mut open =
        opened.then(|| Open { fence: None, language: Language::Python, lines: Vec::new() });
    for line in lines {
        let fence = FenceLine::read(line);
        match (open.take(), fence) {
            (Some(block), Some(FenceLine::Bare(fence))) if block.is_closed_by(fence) => {
                scan.push(block, true, depth);
            }
            // The model did not go on in the block that the prompt opened.
            (Some(block), Some(FenceLine::Opening(fence, info))) if block.fence.is_none() => {
                scan.push(block, false, depth);
                open = Some(Open::new(fence, info));
            }
            (Some(mut block), _) => {
                block.lines.push(line);
                open = Some(block);
            }
            (None, Some(FenceLine::Bare(fence))) => open = Some(Open::new(fence, Info::default())),
            (None, Some(FenceLine::Opening(fence, info))) => open = Some(Open::new(fence, info)),
            (None, Some(FenceLine::Whole(info))) => {
                scan.push(Open { fence: None, ..Open::from_info(info) }, true, depth);
            }
            (None, None) if scan.blocks.is_empty() => scan.before.push(line),
            (None, None) => {}
        }
    }
    if let Some(block) = open {
        scan.push(block, false, depth);
    }
    scan
}

impl<'a> Open<'a> {
    fn new(fence: Fence, info: Info<'a>) -> Self {
        Self { fence: Some(fence), ..Self::from_info(info) }
    }

    fn from_info(info: Info<'a>) -> Self {
        let language = match info.language {
            None => Language::Unnamed,
            Some(name) if is_python(name) => Language::Python,
            Some(_) => Language::Other,
        };
        Self { fence: None, language, lines: info.code.into_iter().collect() }
    }

    fn is_closed_by(&self, fence: Fence) -> bool {
        self.fence.is_none_or(|own| own.is_closed_by(fence))
    }
}

impl<'a> Scan<'a> {
    /// Adds a block, or the blocks in it where it only wraps others.
    fn push(&mut self, mut block: Open<'a>, is_whole: bool, depth: u32) {
        let first = block.lines.iter().find(|line| !line.trim().is_empty());
        let wraps = block.language != Language::Python
            && depth < DEPTH_MAX
            && first.is_some_and(|line| FenceLine::read(line).is_some());
        if wraps {
            self.blocks.extend(scan(&block.lines, false, depth + 1).blocks);
            return;
        }
        if block.fence.is_none() || block.language == Language::Unnamed {
            self.take_language(&mut block);
        }
        self.blocks.push(Block { language: block.language, lines: block.lines, is_whole });
    }

    /// Takes the language from the first line of a block, where it was put there:
    /// a name that no program begins with.
    fn take_language(&self, block: &mut Open<'a>) {
        if block.lines.first().is_some_and(|line| is_python(line.trim())) {
            block.lines.remove(0);
            block.language = Language::Python;
        }
    }

    fn defining(&self, entry: &str) -> Option<Vec<&'a str>> {
        self.last_of(|block| defines(&block.lines, entry))
    }

    /// The last block that is Python by its name; else one that may be.
    fn last(&self) -> Option<Vec<&'a str>> {
        self.last_of(|block| block.language == Language::Python)
            .or_else(|| {
                self.last_of(|block| {
                    block.language == Language::Unnamed && looks_like_code(&block.lines)
                })
            })
            .or_else(|| {
                self.last_of(|block| {
                    block.language == Language::Unnamed
                        && block.is_whole
                        && bare_code(&self.before, None).is_none()
                })
            })
    }

    /// The last whole block of a kind; else the last that was cut off.
    fn last_of(&self, is_of_kind: impl Fn(&Block<'a>) -> bool) -> Option<Vec<&'a str>> {
        let find = |whole: bool| {
            self.blocks.iter().rev().find(|block| {
                block.is_whole == whole && !is_blank(&block.lines) && is_of_kind(block)
            })
        };
        find(true).or_else(|| find(false)).map(|block| block.lines.clone())
    }
}

fn is_blank(lines: &[&str]) -> bool {
    lines.iter().all(|line| line.trim().is_empty())
}

/// The lines without their common indentation and without blank lines around.
fn text_of(lines: &[&str]) -> Option<String> {
    let start = lines.iter().position(|line| !line.trim().is_empty())?;
    let end = lines.iter().rposition(|line| !line.trim().is_empty())?;
    let lines = &lines[start..=end];
    let indentation = bare::indentation(lines);
    let mut text = String::new();
    for line in lines {
        text.push_str(line.strip_prefix(indentation).unwrap_or_default().trim_end_matches('\r'));
        text.push('\n');
    }
    Some(text)
}

#[cfg(test)]
mod tests;
