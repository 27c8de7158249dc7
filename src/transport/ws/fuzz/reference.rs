//! Reference implementation of RFC 6455 for a server. It parses complete input, without streaming
//! and without a state machine.

use std::collections::BTreeSet;

/// The expected result for the bytes of a client.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Read {
    /// The complete messages.
    pub messages: Vec<Vec<u8>>,
    /// The payloads of the expected pongs.
    pub pongs: Vec<Vec<u8>>,
    /// The permitted close codes. There are several if several rules are violated at once, or if
    /// the frame that violates one is incomplete.
    pub ends: BTreeSet<Option<u16>>,
}

/// A frame, as far as it has arrived.
struct Frame<'a> {
    fin: bool,
    reserved: bool,
    opcode: u8,
    is_masked: bool,
    length: u64,
    /// `None` if the payload is incomplete.
    payload: Option<Vec<u8>>,
    rest: &'a [u8],
}

/// Parses all bytes. `size_max` limits the size of messages.
pub(super) fn read(mut bytes: &[u8], size_max: usize) -> Read {
    let mut read = Read::default();
    let mut message: Option<(bool, Vec<u8>)> = None;
    loop {
        let Some(frame) = Frame::split(bytes) else {
            return read.end([None]);
        };
        let is_control = frame.opcode >= 8;
        let continues = frame.opcode == 0;
        let mut broken = BTreeSet::new();
        let out_of_turn = !is_control && continues != message.is_some();
        let is_known = matches!(frame.opcode, 0..=2 | 8..=10);
        let bad_control = is_control && (!frame.fin || frame.length > 125);
        if frame.reserved || !is_known || !frame.is_masked || bad_control || out_of_turn {
            broken.insert(Some(1002));
        }
        let before = message.as_ref().map_or(0, |(_, before)| before.len() as u64);
        if frame.length.saturating_add(if continues { before } else { 0 }) > size_max as u64 {
            broken.insert(Some(1009));
        }
        let Some(payload) = frame.payload else {
            broken.insert(None);
            return read.end(broken);
        };
        if !is_control {
            let is_text = message.as_ref().map_or(frame.opcode == 1, |(is_text, _)| *is_text);
            let so_far = message.as_ref().map_or(&[][..], |(_, before)| before);
            if is_text && !may_be_text(&[so_far, &payload].concat(), frame.fin) {
                broken.insert(Some(1007));
            }
        }
        if frame.opcode == 8 {
            broken.extend(broken_close(&payload));
        }
        if !broken.is_empty() {
            return read.end(broken);
        }
        match frame.opcode {
            8 => {
                let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                return read.end([code]);
            }
            9 => read.pongs.push(payload),
            10 => {}
            opcode => {
                let whole = message.get_or_insert_with(|| (opcode == 1, Vec::new()));
                whole.1.extend(payload);
                if frame.fin {
                    read.messages.extend(message.take().map(|(_, whole)| whole));
                }
            }
        }
        bytes = frame.rest;
    }
}

impl Read {
    fn end(mut self, ends: impl IntoIterator<Item = Option<u16>>) -> Self {
        self.ends = ends.into_iter().collect();
        self
    }
}

impl<'a> Frame<'a> {
    /// Splits off the first frame, or returns `None` if its header is incomplete.
    fn split(bytes: &'a [u8]) -> Option<Self> {
        let ([head, second], rest) = bytes.split_first_chunk()?;
        let (length, rest) = match second & 0x7f {
            126 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u64::from(u16::from_be_bytes(*length)), rest)
            }
            127 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u64::from_be_bytes(*length), rest)
            }
            length => (u64::from(length), rest),
        };
        let is_masked = second & 0x80 != 0;
        let (mask, rest) = if is_masked { rest.split_first_chunk()? } else { (&[0; 4], rest) };
        let there = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length));
        let unmask =
            |payload: &[u8]| payload.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b).collect();
        Some(Self {
            fin: head & 0x80 != 0,
            reserved: head & 0x70 != 0,
            opcode: head & 0x0f,
            is_masked,
            length,
            payload: there.map(|(payload, _)| unmask(payload)),
            rest: there.map_or(&[], |(_, rest)| rest),
        })
    }
}

/// Returns whether bytes are text, or the beginning of one.
fn may_be_text(bytes: &[u8], is_whole: bool) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => !is_whole && error.error_len().is_none(),
    }
}

fn broken_close(payload: &[u8]) -> Vec<Option<u16>> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return if payload.is_empty() { vec![] } else { vec![Some(1002)] };
    };
    let mut broken = Vec::new();
    if !matches!(u16::from_be_bytes(*code), 1000..=1003 | 1007..=1013 | 3000..=4999) {
        broken.push(Some(1002));
    }
    if !may_be_text(reason, true) {
        broken.push(Some(1007));
    }
    broken
}
