//! A response body. Its request counts as running until the whole body has been handed to the
//! server, and no frame is handed over before the previous one has been written.

use std::pin::Pin;
use std::task::ready;
use std::task::{Context, Poll};

use hyper::body::{Body, Frame, SizeHint};

use crate::app::exchanges::Exchange;

/// A response body and the request it belongs to.
pub(super) struct Answer<B> {
    body: B,
    exchange: Exchange,
    /// Whether a frame has been handed over.
    begun: bool,
}

impl<B> Answer<B> {
    /// Returns the body of the response to this request.
    pub(super) const fn new(body: B, exchange: Exchange) -> Self {
        Self { body, exchange, begun: false }
    }
}

impl<B: Body + Unpin> Body for Answer<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = &mut *self;
        if this.begun {
            // Otherwise the server would buffer several frames for a client that reads none.
            ready!(this.exchange.exchanges().poll_written(context));
        }
        let frame = ready!(Pin::new(&mut this.body).poll_frame(context));
        if frame.is_some() {
            this.begun = true;
            this.exchange.exchanges().hand_on();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::FutureExt;

    use crate::app::exchanges::Exchanges;

    use super::*;

    /// A body that never ends.
    struct Endless;

    impl Body for Endless {
        type Data = Bytes;
        type Error = hyper::Error;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"a frame")))))
        }
    }

    fn next<B: Body + Unpin>(answer: &mut Answer<B>) -> bool {
        std::future::poll_fn(|context| Pin::new(&mut *answer).poll_frame(context))
            .now_or_never()
            .is_some()
    }

    #[test]
    fn a_frame_is_polled_after_the_previous_one_is_written() {
        let exchanges = Exchanges::default();
        let mut answer = Answer::new(Endless, exchanges.begin());
        // The head is being written, and the first frame with it.
        exchanges.hand_on();

        assert!(next(&mut answer));
        assert!(!next(&mut answer));
        exchanges.note_written();

        assert!(next(&mut answer));
        assert!(!next(&mut answer));
    }
}
