//! `Content-Encoding` of requests: compressed bodies (RFC 9110 §8.4).
//!
//! A body is decompressed once it is complete, up to the size limit of an uncompressed body.
//! Multiple codings and unknown ones are refused.

use std::io;
use std::io::Read;

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use bytes::Bytes;
use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use poem::http::HeaderMap;
use poem::http::header;

use crate::domain::Error;
use crate::transport::error::Refusal;

/// The supported codings, as in a header.
pub const ACCEPTED: &str = "gzip, deflate, br";

/// Output buffer of the Brotli decoder in bytes.
const CHUNK: usize = 16 << 10;

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
    Brotli,
}

impl Coding {
    /// Returns the coding of a body, or `None` if it is not compressed.
    ///
    /// # Errors
    /// [`Refusal::UnsupportedCoding`] for an unknown coding and for more than one.
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>, Refusal> {
        let lines = headers.get_all(header::CONTENT_ENCODING);
        let lines =
            lines.iter().map(|line| String::from_utf8_lossy(line.as_bytes()).to_lowercase());
        let names = lines.collect::<Vec<_>>().join(",");
        let mut names = names
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty() && *name != "identity")
            .collect::<Vec<_>>();
        match (names.pop(), names.as_slice()) {
            (None, _) => Ok(None),
            (Some("gzip" | "x-gzip"), []) => Ok(Some(Self::Gzip)),
            (Some("deflate"), []) => Ok(Some(Self::Deflate)),
            (Some("br"), []) => Ok(Some(Self::Brotli)),
            (Some(last), _) => {
                names.push(last);
                // Truncated, since a header may be long.
                let shown = names.join(", ").chars().take(50).collect();
                Err(Refusal::UnsupportedCoding(shown))
            }
        }
    }

    /// Decompresses a body.
    ///
    /// # Errors
    /// [`Refusal::ContentTooLarge`] if it would exceed `bytes_max`; [`Error::InvalidPayload`] if it
    /// is incomplete, followed by other bytes, or not of this coding.
    pub(super) fn inflate(self, body: &[u8], bytes_max: usize) -> Result<Bytes, Refusal> {
        let inflated = match self {
            Self::Gzip => inflate_by(MultiGzDecoder::new(body), bytes_max, |_| true),
            Self::Deflate if is_zlib(body) => {
                inflate_by(ZlibDecoder::new(body), bytes_max, |decoder| {
                    decoder.get_ref().is_empty()
                })
            }
            // Some clients omit the header and the checksum that the standard requires.
            Self::Deflate => inflate_by(DeflateDecoder::new(body), bytes_max, |decoder| {
                decoder.get_ref().is_empty()
            }),
            Self::Brotli => inflate_brotli(body, bytes_max),
        };
        let inflated = inflated.map_err(|_| {
            Error::payload(format!(
                "The body is not complete and valid \"{}\", which \"Content-Encoding\" names",
                self.name()
            ))
        })?;
        if inflated.len() > bytes_max {
            return Err(Refusal::ContentTooLarge);
        }
        Ok(Bytes::from(inflated))
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
        }
    }
}

/// Returns whether the bytes start with a zlib header (RFC 1950 §2.2).
fn is_zlib(body: &[u8]) -> bool {
    let Some([method, flags]) = body.first_chunk() else { return false };
    method & 0x0f == 8 && u16::from_be_bytes([*method, *flags]).is_multiple_of(31)
}

/// Reads a decoder to its end, or to one byte beyond the maximum.
fn inflate_by<D: Read>(
    mut decoder: D,
    bytes_max: usize,
    is_whole: impl FnOnce(&D) -> bool,
) -> io::Result<Vec<u8>> {
    let mut inflated = Vec::new();
    (&mut decoder).take(bytes_max as u64 + 1).read_to_end(&mut inflated)?;
    if inflated.len() > bytes_max || is_whole(&decoder) {
        return Ok(inflated);
    }
    Err(io::ErrorKind::InvalidData.into())
}

/// Decompresses Brotli. The reader of the library would accept windows of a gigabyte, which the
/// standard does not allow.
fn inflate_brotli(body: &[u8], bytes_max: usize) -> io::Result<Vec<u8>> {
    let alloc = StandardAlloc::default;
    let mut state = BrotliState::new_strict(alloc(), alloc(), alloc());
    let (mut unread, mut read, mut total) = (body.len(), 0, 0);
    let mut chunk = [0; CHUNK];
    let mut inflated = Vec::new();
    loop {
        let (mut room, mut written) = (CHUNK, 0);
        let result = BrotliDecompressStream(
            &mut unread,
            &mut read,
            body,
            &mut room,
            &mut written,
            &mut chunk,
            &mut total,
            &mut state,
        );
        inflated.extend_from_slice(&chunk[..written]);
        match result {
            BrotliResult::ResultSuccess if unread == 0 => return Ok(inflated),
            BrotliResult::NeedsMoreOutput if inflated.len() <= bytes_max => {}
            BrotliResult::NeedsMoreOutput => return Ok(inflated),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use poem::http::HeaderValue;

    use super::*;

    const TEXT: &[u8] = br#"{"content":"hello hello hello hello hello"}"#;
    /// [`TEXT`], compressed by the reference implementation of Brotli.
    const BROTLI: &[u8] = &[
        0x1b, 0x2a, 0x00, 0xf8, 0x1d, 0x09, 0x76, 0x4c, 0xe2, 0x37, 0x14, 0x4f, 0x0c, 0x65, 0x19,
        0xda, 0x5e, 0xe9, 0xf4, 0xb5, 0x08, 0x1b, 0xc8, 0xdb, 0x94, 0xa4, 0x12, 0x7e, 0xea, 0x80,
        0x0b, 0xda, 0x07, 0xa9, 0x0f, 0x01,
    ];
    /// The same with a window of a gigabyte.
    const BROTLI_LARGE_WINDOW: &[u8] = &[
        0x11, 0x5e, 0xa8, 0x00, 0xe0, 0x77, 0x24, 0xd8, 0x31, 0x89, 0xdf, 0x50, 0x3c, 0x31, 0x94,
        0x65, 0x68, 0x7b, 0xa5, 0xd3, 0xd7, 0x22, 0x6c, 0x20, 0x6f, 0x53, 0x92, 0x4a, 0xf8, 0xa9,
        0x03, 0x5c, 0xa0, 0x7d, 0x90, 0xfa, 0x10,
    ];
    /// A mebibyte of zeros.
    const BROTLI_BOMB: &[u8] =
        &[0x5b, 0xff, 0xff, 0x8f, 0x7f, 0x02, 0x20, 0x1e, 0x0b, 0x04, 0x72, 0xef, 0x1f, 0x00];

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(body: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    fn raw(body: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    /// Returns the text in each coding.
    fn compressed() -> [(Coding, Vec<u8>); 4] {
        [
            (Coding::Gzip, gzip(TEXT)),
            (Coding::Deflate, zlib(TEXT)),
            (Coding::Deflate, raw(TEXT)),
            (Coding::Brotli, BROTLI.to_vec()),
        ]
    }

    #[test]
    fn a_body_is_decompressed_up_to_the_limit() {
        for (coding, body) in compressed() {
            assert_eq!(coding.inflate(&body, TEXT.len()).unwrap(), TEXT, "{coding:?}");
            let refused = coding.inflate(&body, TEXT.len() - 1);
            assert!(matches!(refused, Err(Refusal::ContentTooLarge)), "{coding:?}");
        }
        let twice = [gzip(b"{\"a\":"), gzip(b"1}")].concat();
        assert_eq!(Coding::Gzip.inflate(&twice, 100).unwrap(), "{\"a\":1}");
    }

    #[test]
    fn a_decompression_bomb_is_rejected_at_the_limit() {
        let zeros = vec![0; 1 << 20];
        let gzip_bomb = gzip(&zeros);
        for (coding, bomb) in [
            (Coding::Gzip, gzip_bomb.clone()),
            (Coding::Gzip, vec![gzip_bomb; 100].concat()),
            (Coding::Deflate, zlib(&zeros)),
            (Coding::Deflate, raw(&zeros)),
            (Coding::Brotli, BROTLI_BOMB.to_vec()),
        ] {
            let refused = coding.inflate(&bomb, 100_000);
            assert!(matches!(refused, Err(Refusal::ContentTooLarge)), "{coding:?}");
        }
    }

    #[test]
    fn truncated_and_uncompressed_bodies_are_rejected() {
        for (coding, body) in compressed() {
            let is_refused = |body: &[u8]| {
                let refused = coding.inflate(body, 1 << 20);
                matches!(refused, Err(Refusal::Domain(Error::InvalidPayload(_))))
            };
            for length in 1..body.len() {
                assert!(is_refused(&body[..length]), "{coding:?}: {length}");
            }
            assert!(is_refused(&[&body[..], b"x"].concat()), "{coding:?}: more");
            assert!(is_refused(TEXT), "{coding:?}: not compressed");
        }
    }

    #[test]
    fn corrupt_bodies_do_not_panic_the_decoder() {
        for (coding, body) in compressed() {
            for place in 0..body.len() {
                for bit in 0..8 {
                    let mut damaged = body.clone();
                    damaged[place] ^= 1 << bit;
                    let _ = coding.inflate(&damaged, 1 << 16);
                }
            }
        }
    }

    #[test]
    fn a_large_brotli_window_is_rejected() {
        assert!(Coding::Brotli.inflate(BROTLI_LARGE_WINDOW, 1 << 20).is_err());
    }

    #[test]
    fn only_a_single_known_coding_is_accepted() {
        let of = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::CONTENT_ENCODING, HeaderValue::from_static(line));
            }
            Coding::of(&headers)
        };

        for (lines, coding) in [
            (&[][..], None),
            (&[""], None),
            (&["identity"], None),
            (&["gzip"], Some(Coding::Gzip)),
            (&["X-GZip"], Some(Coding::Gzip)),
            (&["deflate"], Some(Coding::Deflate)),
            (&[" br ,"], Some(Coding::Brotli)),
            (&["identity, br"], Some(Coding::Brotli)),
        ] {
            assert_eq!(of(lines).unwrap(), coding, "{lines:?}");
        }
        for (lines, named) in [
            (&["zstd"][..], "zstd"),
            (&["gzip, gzip"], "gzip, gzip"),
            (&["gzip", "br"], "gzip, br"),
            (&["compress"], "compress"),
        ] {
            match of(lines) {
                Err(Refusal::UnsupportedCoding(name)) => assert_eq!(name, named),
                other => panic!("{lines:?}: {other:?}"),
            }
        }
    }
}
