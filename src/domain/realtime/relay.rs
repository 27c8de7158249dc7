//! From the writer to the bus, and from the bus to the hub.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::bus::Bus;
use crate::domain::realtime::Hub;
use crate::model::Event;

/// Publishes what the writer commits and delivers what the bus brings, until the writer has stopped
/// and all it committed is delivered.
pub async fn run(hub: Arc<Hub>, bus: Bus, mut committed: mpsc::Receiver<Arc<[Arc<Event>]>>) {
    let publish = async {
        while let Some(news) = committed.recv().await {
            let done = news.is_empty();
            bus.publish(news).await;
            if done {
                break;
            }
        }
        // An empty batch says that nothing follows.
        bus.publish(Arc::from([])).await;
    };
    let deliver = async {
        while let Some(news) = bus.next().await {
            if news.is_empty() {
                break;
            }
            for event in news.iter() {
                hub.deliver(event).await;
                // Lets the sockets be written before more is queued for them.
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::join!(publish, deliver);
}
