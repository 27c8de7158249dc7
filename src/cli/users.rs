//! `chinwag users …`: manages accounts while no server uses the database.

use std::io::BufRead;

use chinwag::app::App;
use chinwag::clock::Clock;
use clap::Subcommand;

use crate::cli;
use crate::cli::Failure;
use crate::cli::output;

/// What can be done with accounts.
#[derive(Debug, Subcommand)]
pub enum Users {
    /// Create an account and print its id, and its password if that was generated
    Create {
        /// The address to sign in with
        #[arg(long)]
        email: String,
        /// The name others see
        #[arg(long)]
        first_name: Option<String>,
        /// The name of its role; Member unless told otherwise
        #[arg(long, value_name = "NAME")]
        role: Option<String>,
        /// Its password, or - to read it from standard input; generated if not given
        #[arg(long)]
        password: Option<String>,
    },
    /// List all accounts
    List,
    /// Set the password of an account, which ends its sessions
    Password {
        /// The account's address
        #[arg(long)]
        email: String,
        /// The new password, or - to read it from standard input; generated if not given
        #[arg(long)]
        password: Option<String>,
    },
    /// Print everything that is kept about a person, as JSON
    Export {
        /// The account's address
        #[arg(long)]
        email: String,
    },
    /// Erase a person: the account, what they wrote, and what the log holds of it. For good
    Erase {
        /// The account's address
        #[arg(long)]
        email: String,
        /// Keep what they wrote, without their name
        #[arg(long)]
        keep_messages: bool,
    },
    /// Take the second factor off an account, for somebody who has lost it
    DisableTfa {
        /// The account's address
        #[arg(long)]
        email: String,
    },
    /// Suspend an account, which ends its sessions
    Suspend {
        /// The account's address
        #[arg(long)]
        email: String,
    },
}

/// Opens the service without serving, runs the command, and closes it again.
pub fn run(command: Users) -> Result<(), Failure> {
    let config = cli::settings()?;
    cli::runtime()?.block_on(async {
        let app = App::open(config, Clock::system()).await.map_err(Failure::of_command)?;
        // A first start shows the generated password once, so print it even if the command fails.
        let mut told = Ok(());
        if let Some((email, password)) = &app.first().admin {
            told = output::print(&format!("made administrator {email} with password {password}"));
        }
        let done = perform(&app, command).await;
        app.close().await;
        told.and(output::print(&done?))
    })
}

/// Runs the command and returns the text to print.
async fn perform(app: &App, command: Users) -> Result<String, Failure> {
    let accounts = &app.services().accounts;
    match command {
        Users::Create { email, first_name, role, password } => {
            let password = given(password)?;
            let (first_name, role) = (first_name.as_deref(), role.as_deref());
            let created = accounts.create(&email, first_name, role, password.as_deref()).await;
            let created = created.map_err(Failure::of_domain)?;
            Ok(format!("id        {}\n{}", created.id, generated(created.password)))
        }
        Users::List => list(app).await,
        Users::Password { email, password } => {
            let password = given(password)?;
            let set = accounts.set_password(&email, password.as_deref()).await;
            Ok(generated(set.map_err(Failure::of_domain)?))
        }
        Users::Export { email } => {
            let data = accounts.export(&email).await.map_err(Failure::of_domain)?;
            Ok(format!("{data:#}\n"))
        }
        Users::Erase { email, keep_messages } => {
            let erased = accounts.erase(&email, keep_messages).await;
            let erased = erased.map_err(Failure::of_domain)?;
            let lines =
                erased.items.iter().map(|(name, count)| format!("erased    {count} {name}\n"));
            Ok(format!("{}erased    {email}\n", lines.collect::<String>()))
        }
        Users::DisableTfa { email } => {
            accounts.disable_factor(&email).await.map_err(Failure::of_domain)?;
            Ok(String::new())
        }
        Users::Suspend { email } => {
            accounts.suspend(&email).await.map_err(Failure::of_domain)?;
            Ok(String::new())
        }
    }
}

async fn list(app: &App) -> Result<String, Failure> {
    let accounts = app.list_accounts().await?;
    let rows: Vec<_> = accounts
        .into_iter()
        .map(|it| [it.email, it.name, it.role, it.status, it.last_access, it.id])
        .collect();
    Ok(output::table(["EMAIL", "NAME", "ROLE", "STATUS", "LAST ACCESS", "ID"], &rows))
}

/// Returns the password given on the command line, or for `-` the first line of standard input.
fn given(password: Option<String>) -> Result<Option<String>, Failure> {
    if password.as_deref() != Some("-") {
        return Ok(password);
    }
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| Failure::new(format!("cannot read standard input: {error}")))?;
    Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()))
}

fn generated(password: Option<String>) -> String {
    password.map(|password| format!("password  {password}\n")).unwrap_or_default()
}
