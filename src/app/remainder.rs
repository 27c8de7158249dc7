//! The remainder of a request body: the part that is still unread when the response is ready.
//!
//! A connection can be reused only if the server has read the request to its end. A short remainder
//! is read before the response is sent. For a longer one, the response announces that the
//! connection closes, and `linger` reads on until the client has received it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;
use hyper::body::{Body, Frame, SizeHint};
use hyper::http::header::EXPECT;
use parking_lot::Mutex;
use poem::Request;

/// The longest remainder that is read to reuse a connection: a longer one costs more than
/// reconnecting.
const DRAIN_BYTES_MAX: u64 = 256 << 10;
/// Timeout for the remainder: a few round trips on a slow network.
const DRAIN_MAX: Duration = Duration::from_secs(1);

/// A request body shared by its handler and the server.
#[derive(Debug, Clone)]
pub(super) struct Remainder(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    body: BoxBody<Bytes, io::Error>,
    /// Whether the client sent `Expect`: it withholds the body until the server reads it.
    is_withheld: bool,
    has_ended: bool,
}

impl Remainder {
    /// Takes the body of a request and replaces it with a shared one for its handler.
    pub(super) fn share(request: &mut Request) -> Self {
        let shared = Self(Arc::new(Mutex::new(State {
            body: request.take_body().into(),
            is_withheld: request.headers().contains_key(EXPECT),
            has_ended: false,
        })));
        request.set_body(BoxBody::new(shared.clone()));
        shared
    }

    /// Reads a short remainder, and returns whether the whole body was read.
    pub(super) async fn drain(mut self) -> bool {
        if self.0.lock().is_withheld || self.size_hint().lower() > DRAIN_BYTES_MAX {
            return self.is_end_stream();
        }
        let reading = async {
            let mut drained = 0;
            while let Some(Ok(frame)) = self.frame().await {
                drained += frame.data_ref().map_or(0, |data| data.len() as u64);
                if drained > DRAIN_BYTES_MAX {
                    break;
                }
            }
        };
        // A slower client gets the response meanwhile.
        let _ = tokio::time::timeout(DRAIN_MAX, reading).await;
        self.is_end_stream()
    }
}

impl Body for Remainder {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let mut state = self.0.lock();
        state.is_withheld = false;
        let polled = Pin::new(&mut state.body).poll_frame(context);
        state.has_ended |= matches!(polled, Poll::Ready(None));
        polled
    }

    fn is_end_stream(&self) -> bool {
        let state = self.0.lock();
        state.has_ended || state.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().body.size_hint()
    }
}
