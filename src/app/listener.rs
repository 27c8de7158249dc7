//! The listening socket, inherited from the parent process or bound.
//!
//! It is opened before the database and stays open until the process ends. Clients that connect
//! during startup wait in its backlog instead of being refused.

use std::io;
use std::net::{SocketAddr, TcpListener};

use tokio::net::TcpSocket;

use crate::app::StartError;

/// Length of the backlog; the system may enforce a lower one. After a restart all clients reconnect
/// at once.
const BACKLOG: u32 = 4096;

/// Takes over the socket that a supervisor, or this program before it replaced itself, left open
/// (`LISTEN_FDS`). Call it before a second thread starts: it clears these variables.
///
/// # Errors
/// [`StartError::Inherited`] if the descriptor is not a listening socket.
pub fn inherit() -> Result<Option<TcpListener>, StartError> {
    listenfd::ListenFd::from_env().take_tcp_listener(0).map_err(StartError::Inherited)
}

/// Returns the inherited socket, or binds one to the address. Must be called within the runtime.
///
/// # Errors
/// [`StartError::AddressInUse`], [`StartError::Listen`].
pub fn open(
    inherited: Option<TcpListener>,
    address: SocketAddr,
) -> Result<TcpListener, StartError> {
    match inherited {
        Some(listener) => {
            listener.set_nonblocking(true).map_err(StartError::Inherited)?;
            Ok(listener)
        }
        None => bind(address).map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => StartError::AddressInUse(address),
            _ => StartError::Listen { address, source },
        }),
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Connections of the previous process may remain on the port; another listener may not.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: &str = "127.0.0.1:0";

    #[tokio::test]
    async fn an_address_in_use_is_reported() {
        let first = open(None, ANY.parse().unwrap()).unwrap();
        let address = first.local_addr().unwrap();

        let refused = open(None, address).unwrap_err();

        assert_eq!(
            refused.to_string(),
            format!(
                "{address} is in use: stop the process that listens on it, or set another PORT"
            )
        );
    }

    #[tokio::test]
    async fn an_inherited_socket_is_preferred() {
        let inherited = TcpListener::bind(ANY).unwrap();
        let address = inherited.local_addr().unwrap();

        let opened = open(Some(inherited), ANY.parse().unwrap()).unwrap();

        assert_eq!(opened.local_addr().unwrap(), address);
        // A blocking `accept` would block a runtime thread.
        assert_eq!(opened.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[tokio::test]
    async fn connections_queue_until_they_are_accepted() {
        let listener = open(None, ANY.parse().unwrap()).unwrap();

        for _ in 0..300 {
            tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        }
    }
}
