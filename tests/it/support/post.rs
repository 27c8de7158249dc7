//! A mail server for tests: it accepts mail, or refuses it for as long as the test demands.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chinwag::config::{Config, EmailTransport};
use data_encoding::BASE64;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::support::TestServer;
use crate::support::soon;

/// The server. Mails arrive in the order in which they were accepted.
pub struct Post {
    address: SocketAddr,
    taken: mpsc::Receiver<Mail>,
    tries: mpsc::Receiver<()>,
    answer: Arc<AtomicUsize>,
    sentinels: AtomicUsize,
    _task: Ended,
}

/// Aborts a task when dropped.
struct Ended(JoinHandle<()>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An accepted mail.
#[derive(Debug, Clone)]
pub struct Mail {
    /// The recipient.
    pub to: String,
    /// The whole message, as received.
    pub raw: String,
    /// Its plain text.
    pub text: String,
    /// Its HTML.
    pub html: String,
}

impl Mail {
    /// Returns the address of its link.
    pub fn link(&self) -> &str {
        let link = self.text.lines().find(|line| line.starts_with("http"));
        link.unwrap_or_else(|| panic!("no link in {}", self.text))
    }

    /// Returns the token of its link.
    pub fn token(&self) -> &str {
        let (_, token) = self.link().split_once("token=").unwrap();
        token.split(['&', '#']).next().unwrap()
    }

    /// Returns a header.
    pub fn header(&self, name: &str) -> &str {
        let start = format!("{name}: ");
        self.raw.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_default()
    }
}

impl Post {
    /// Starts a server on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (send, taken) = mpsc::channel(100);
        let (attempt, tries) = mpsc::channel(1000);
        let answer = Arc::new(AtomicUsize::new(250));
        let answers = Arc::clone(&answer);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (send, attempt, answers) =
                    (send.clone(), attempt.clone(), Arc::clone(&answers));
                tokio::spawn(async move {
                    // A connection that ends early is not an error.
                    let _ = converse(stream, &send, &attempt, &answers).await;
                });
            }
        });
        let sentinels = AtomicUsize::new(0);
        Self { address, taken, tries, answer, sentinels, _task: Ended(task) }
    }

    /// Configures a service to send its mail to this server.
    pub fn serve(&self, config: &mut Config) {
        config.email.transport = Some(EmailTransport::Smtp);
        config.email.smtp.host = self.address.ip().to_string();
        config.email.smtp.port = self.address.port();
        config.email.smtp.ignore_tls = true;
        "https://chat.example.com".clone_into(&mut config.server.public_url);
    }

    /// Answers mails with this code from now on: 250 accepts them.
    pub fn answer_with(&self, code: usize) {
        self.answer.store(code, Ordering::SeqCst);
    }

    /// Waits for the next mail.
    pub async fn mail(&mut self) -> Mail {
        soon(self.taken.recv()).await.unwrap()
    }

    /// Waits for the next delivery attempt, accepted or not.
    pub async fn tried(&mut self) {
        soon(self.tries.recv()).await.unwrap();
    }

    /// Returns the mails that were caused before now and have not been received yet. Sends mails of
    /// its own, which are queued after them.
    pub async fn all_so_far(&mut self, server: &TestServer) -> Vec<Mail> {
        let number = self.sentinels.fetch_add(1, Ordering::SeqCst);
        let sentinel = server.member(&format!("sentinel{number}")).await;
        let mut mails = Vec::new();
        // Mails that are due together are sent together, so earlier mails may arrive after the
        // first sentinel. Once the second arrives, so have all mails that were sent with the first.
        for _ in 0..2 {
            let body = json!({"email": sentinel.email});
            server.anonymous().post("/auth/password/request", &body).await.nothing();
            loop {
                let mail = self.mail().await;
                if mail.to == sentinel.email {
                    break;
                }
                mails.push(mail);
            }
        }
        mails
    }
}

async fn converse(
    stream: TcpStream,
    send: &mpsc::Sender<Mail>,
    attempt: &mpsc::Sender<()>,
    answer: &AtomicUsize,
) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    writer.write_all(b"220 test\r\n").await?;
    let mut to = String::new();
    while let Some(line) = lines.next_line().await? {
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let said = match verb.as_str() {
            "RCPT" => {
                to = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                let code = answer.load(Ordering::SeqCst);
                // A test that counts attempts receives them in time.
                let _ = attempt.try_send(());
                // Repeats the address like real servers, which is why this text must not be logged.
                format!("{code} <{to}> it is")
            }
            "DATA" => {
                writer.write_all(b"354 go on\r\n").await?;
                let mut raw = String::new();
                while let Some(line) = lines.next_line().await? {
                    if line == "." {
                        break;
                    }
                    raw.push_str(line.strip_prefix('.').unwrap_or(&line));
                    raw.push('\n');
                }
                let _ = send.send(read(&to, &raw)).await;
                "250 taken".to_owned()
            }
            "QUIT" => {
                writer.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => "250 fine".to_owned(),
        };
        writer.write_all(format!("{said}\r\n").as_bytes()).await?;
    }
    Ok(())
}

fn read(to: &str, raw: &str) -> Mail {
    let part = |kind: &str| {
        let (_, part) = raw.split_once(&format!("Content-Type: {kind}")).unwrap();
        let (head, body) = part.split_once("\n\n").unwrap();
        let body = body.split("\n--").next().unwrap();
        if head.contains("quoted-printable") {
            unquote(body)
        } else if head.contains("base64") {
            let packed: String = body.split_whitespace().collect();
            String::from_utf8(BASE64.decode(packed.as_bytes()).unwrap()).unwrap()
        } else {
            body.to_owned()
        }
    };
    Mail {
        to: to.to_owned(),
        text: part("text/plain"),
        html: part("text/html"),
        raw: raw.to_owned(),
    }
}

/// Decodes quoted-printable, RFC 2045, 6.7.
fn unquote(text: &str) -> String {
    let text = text.replace("=\n", "");
    let mut parts = text.split('=');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        // Without two digits it is a soft line break at the end of the excerpt.
        let Some((code, rest)) = part.split_at_checked(2) else { continue };
        bytes.push(u8::from_str_radix(code, 16).unwrap());
        bytes.extend(rest.as_bytes());
    }
    String::from_utf8(bytes).unwrap()
}
