//! The text of messages: each tells which one it is and when it was written, wherever in a frame it
//! turns up.

use std::fmt::Write as _;
use std::process;

use memchr::memmem;

/// Makes and finds texts such as `LD00a1f3.17.250317.lorem ipsum …`.
pub struct Marker {
    tag: String,
    size: usize,
}

/// What a text says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which message of the run.
    pub number: u64,
    /// When it was written, by [`crate::target::Target::now`].
    pub sent: u64,
}

impl Marker {
    /// Makes texts of `size` bytes, or longer where the mark is. The tag is this process's, so that
    /// what an earlier run left behind is not taken for news.
    pub fn new(size: usize) -> Self {
        Self { tag: format!("LD{:06x}.", process::id()), size }
    }

    /// Returns the text of one message.
    pub fn text(&self, mark: Mark) -> String {
        let mut text = format!("{}{}.{}.", self.tag, mark.number, mark.sent);
        let padding = self.size.saturating_sub(text.len());
        for letter in "lorem ipsum ".chars().cycle().take(padding) {
            text.write_char(letter).expect("a string takes every letter");
        }
        text
    }

    /// Finds a mark of this run in a frame.
    pub fn find(&self, frame: &[u8]) -> Option<Mark> {
        let at = memmem::find(frame, self.tag.as_bytes())? + self.tag.len();
        let mut numbers = frame[at..].split(|byte| *byte == b'.');
        let mut number = || str::from_utf8(numbers.next()?).ok()?.parse().ok();
        Some(Mark { number: number()?, sent: number()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_in_a_frame() {
        let marker = Marker::new(200);
        let mark = Mark { number: 17, sent: 250_317 };

        let text = marker.text(mark);

        assert_eq!(text.len(), 200);
        assert_eq!(marker.find(format!("{{\"content\":\"{text}\"}}").as_bytes()), Some(mark));
        assert_eq!(marker.find(b"{\"content\":\"LDxxxxxx.17.250317.\"}"), None);
    }
}
