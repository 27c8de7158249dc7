//! Coalesces frames into few writes. Frames that the socket does not take stay whole and in order.
//!
//! Never blocks. `writer_pool` decides which connection is written when.

use std::io;

use bytes::{Buf, Bytes};

use crate::transport::ws::write_half::TryWrite;

/// Frames are coalesced up to this size for one write.
pub(super) const COALESCED_MAX: usize = 64 * 1024;

/// Writes frames until all are written or the socket would block. Unwritten frames stay in
/// `frames`, and the first of them is cut to its unwritten part. Returns the number of bytes written. `scratch` is a buffer.
///
/// # Errors
/// The error that ends the connection.
pub(super) fn write_now(
    write_half: &impl TryWrite,
    frames: &mut Vec<Bytes>,
    scratch: &mut Vec<u8>,
) -> io::Result<usize> {
    let (mut done, mut total) = (0, 0);
    let outcome = loop {
        let Some(first) = frames.get(done) else { break Ok(total) };
        let mut end = done + 1;
        let mut size = first.len();
        while let Some(frame) = frames.get(end).filter(|next| size + next.len() <= COALESCED_MAX) {
            size += frame.len();
            end += 1;
        }
        let written = if end == done + 1 {
            write_half.try_write(first)
        } else {
            scratch.clear();
            for frame in &frames[done..end] {
                scratch.extend_from_slice(frame);
            }
            write_half.try_write(scratch)
        };
        match written {
            Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                done += advance(&mut frames[done..end], written);
                total += written;
                if written < size {
                    break Ok(total);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Ok(total),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break Err(error),
        }
    };
    frames.drain(..done);
    outcome
}

/// Removes written bytes from these frames, and returns the number of completely written ones.
fn advance(frames: &mut [Bytes], mut written: usize) -> usize {
    for (place, frame) in frames.iter_mut().enumerate() {
        if written < frame.len() {
            frame.advance(written);
            return place;
        }
        written -= frame.len();
    }
    frames.len()
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Accepts a given number of bytes with each write, and nothing after the last.
    struct Picky {
        takes: Mutex<std::vec::IntoIter<usize>>,
        taken: Mutex<Vec<u8>>,
    }

    impl TryWrite for Picky {
        fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
            match self.takes.lock().next() {
                None | Some(0) => Err(io::ErrorKind::WouldBlock.into()),
                Some(most) => {
                    let size = most.min(bytes.len());
                    self.taken.lock().extend_from_slice(&bytes[..size]);
                    Ok(size)
                }
            }
        }

        async fn writable(&self) -> io::Result<()> {
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn partial_writes_keep_frames_complete_and_in_order(
            sizes in vec(prop_oneof![1_usize..300, COALESCED_MAX - 2..COALESCED_MAX + 2], 0..12),
            takes in vec(prop_oneof![0_usize..400, 1_000_usize..100_000], 0..60),
        ) {
            let mut fill = (0..=250_u8).cycle();
            let mut frames: Vec<Bytes> =
                sizes.iter().map(|size| fill.by_ref().take(*size).collect()).collect();
            let all = frames.concat();
            let write_half = Picky { takes: Mutex::new(takes.into_iter()), taken: Mutex::default() };

            let mut before = all.len() + 1;
            while frames.iter().map(Bytes::len).sum::<usize>() < before {
                before = frames.iter().map(Bytes::len).sum();
                let written = write_now(&write_half, &mut frames, &mut Vec::new()).unwrap();

                prop_assert_eq!([write_half.taken.lock().clone(), frames.concat()].concat(), &all[..]);
                prop_assert!(frames.iter().all(|frame| !frame.is_empty()));
                prop_assert_eq!(before - frames.iter().map(Bytes::len).sum::<usize>(), written);
            }
        }
    }
}
