//! `chinwag healthcheck`: queries the running server, for supervisors and containers.

use std::io;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use chinwag::app::reachable;
use chinwag::config::ServerConfig;

use crate::cli::Failure;

/// Timeout of each step of the request.
const PATIENCE: Duration = Duration::from_secs(5);

/// Read limit. Only the status line is needed.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// Checks the health of the server with these settings.
pub fn healthcheck(config: &ServerConfig) -> Result<(), Failure> {
    if config.port == 0 {
        return Err(Failure::new("PORT is 0, so the port of the server is unknown"));
    }
    let address = reachable(SocketAddr::new(config.host, config.port));
    match ask(address) {
        // 429: the server runs, but this address, perhaps a proxy's, has used up its rate limit.
        Ok(200 | 429) => Ok(()),
        Ok(status) => Err(Failure::new(format!("{address} answers with status {status}"))),
        Err(error) => Err(Failure::new(format!("{address} does not answer: {error}"))),
    }
}

/// Returns the status of the response.
fn ask(address: SocketAddr) -> io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request =
        format!("GET /server/health HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    status(&answer).ok_or_else(|| io::Error::other("the answer is not HTTP"))
}

fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let version = words.next()?;
    let status = words.next()?.parse().ok()?;
    version.starts_with("HTTP/1.").then_some(status)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn config(port: u16) -> ServerConfig {
        let mut config = chinwag::config::Config::for_tests().server;
        config.port = port;
        config
    }

    /// Answers one request with this text.
    fn server(answer: &'static str) -> (u16, std::thread::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let read = stream.read(&mut request).unwrap();
            assert!(request[..read].starts_with(b"GET /server/health HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        (port, serving)
    }

    #[test]
    fn a_healthy_or_rate_limited_server_passes() {
        for answer in [
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
            "HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\n\r\n",
        ] {
            let (port, serving) = server(answer);

            assert!(healthcheck(&config(port)).is_ok());
            serving.join().unwrap();
        }
    }

    #[test]
    fn other_responses_fail_with_the_reason() {
        for (answer, part) in [
            ("HTTP/1.1 503 Service Unavailable\r\n\r\n", "answers with status 503"),
            ("SSH-2.0-OpenSSH\r\n", "the answer is not HTTP"),
            ("", "the answer is not HTTP"),
        ] {
            let (port, serving) = server(answer);

            let told = healthcheck(&config(port)).unwrap_err().to_string();

            assert!(told.contains(part), "{told}");
            serving.join().unwrap();
        }
    }

    #[test]
    fn an_unreachable_server_fails_with_the_reason() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);

        let told = healthcheck(&config(port)).unwrap_err().to_string();

        assert!(told.contains("does not answer"), "{told}");
    }
}
