//! Message texts that carry their number and time of writing, and can be found anywhere in a frame.

use std::fmt::Write as _;
use std::process;

use memchr::memmem;

/// Creates and finds texts such as `LD00a1f3.17.250317.lorem ipsum …`.
pub struct Marker {
    tag: String,
    size: usize,
}

/// The data that a text carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The message's number in the run.
    pub number: u64,
    /// When it was written, on the clock of [`crate::target::Target::now`].
    pub sent: u64,
}

impl Marker {
    /// Creates texts of `size` bytes, or longer if the mark requires it. The tag is unique to this
    /// process, so that messages of an earlier run are ignored.
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
