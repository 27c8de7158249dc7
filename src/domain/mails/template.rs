//! The texts of mails, in plain text and in HTML.
//!
//! Apart from the name of the project, a mail contains no text from the client that causes it.
//! Otherwise a client could use the service to send other users a text of its own.

use time::macros::format_description;

use crate::clock::Timestamp;
use crate::model::MailKind;

/// The colour of the button if the settings have no valid colour.
const COLOR: &str = "#0f766e";

/// The text of a mail.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Content {
    /// One line.
    pub(super) subject: String,
    /// Plain text.
    pub(super) text: String,
    /// HTML, escaped.
    pub(super) html: String,
}

/// The variable parts of a mail.
pub(super) struct Parts<'a> {
    /// The name of the project.
    pub(super) project: &'a str,
    /// The colour of the project, unvalidated.
    pub(super) color: Option<&'a str>,
    /// The URL of the link, including the token.
    pub(super) link: &'a str,
    /// The time at which the link expires.
    pub(super) expires: Timestamp,
}

/// Returns the text of a mail.
pub(super) fn render(kind: MailKind, parts: &Parts<'_>) -> Content {
    let project = one_line(parts.project);
    let (subject, lead, button, tail) = match kind {
        MailKind::Registration => (
            format!("Confirm your email address for {project}"),
            format!(
                "An account for {project} was created with this email address. Please confirm that \
                 the address is yours."
            ),
            "Confirm email address",
            "If you did not sign up, you can ignore this email: the account cannot be used until \
             the address is confirmed.",
        ),
        MailKind::Invitation => (
            format!("You are invited to {project}"),
            format!("You have been invited to {project}. Choose a password to join."),
            "Accept the invitation",
            "If you did not expect this invitation, you can ignore this email.",
        ),
        MailKind::Reset => (
            format!("Choose a new password for {project}"),
            format!("A new password was requested for your account at {project}."),
            "Choose a new password",
            "If you did not request it, you can ignore this email: your password stays the same.",
        ),
    };
    let until = format!("The link works once, until {}.", date(parts.expires));
    Content {
        text: format!("{lead}\n\n{button}:\n{}\n\n{until}\n{tail}\n", parts.link),
        html: page(&subject, &lead, button, &[&until, tail], parts, &project),
        subject,
    }
}

fn page(
    subject: &str,
    lead: &str,
    button: &str,
    notes: &[&str],
    parts: &Parts<'_>,
    project: &str,
) -> String {
    let color = parts.color.filter(|color| is_color(color)).unwrap_or(COLOR);
    let link = escape(parts.link);
    let notes = notes.iter().map(|note| {
        format!("<p style=\"margin:0 0 8px;font-size:14px;color:#57606a\">{}</p>", escape(note))
    });
    let notes = notes.collect::<Vec<_>>().join("\n");
    format!(
        "<!doctype html>\n\
         <html lang=\"en\">\n\
         <head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"color-scheme\" content=\"light\"><title>{subject}</title></head>\n\
         <body style=\"margin:0;padding:24px;background:#f3f4f6;color:#1f2328;\
         font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif\">\n\
         <table role=\"presentation\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\"><tr>\
         <td align=\"center\">\n\
         <table role=\"presentation\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" \
         style=\"max-width:520px;background:#ffffff;border-radius:12px\"><tr>\
         <td style=\"padding:32px\">\n\
         <p style=\"margin:0 0 16px;font-size:14px;font-weight:600;color:#57606a\">{project}</p>\n\
         <h1 style=\"margin:0 0 16px;font-size:22px;line-height:1.3\">{subject}</h1>\n\
         <p style=\"margin:0 0 24px\">{lead}</p>\n\
         <p style=\"margin:0 0 24px\"><a href=\"{link}\" style=\"display:inline-block;\
         padding:12px 20px;border-radius:8px;background:{color};color:#ffffff;font-weight:600;\
         text-decoration:none\">{button}</a></p>\n\
         {notes}\n\
         <p style=\"margin:16px 0 0;font-size:13px;color:#57606a\">If the button does not work, \
         open this link:<br>\
         <a href=\"{link}\" style=\"color:#57606a;word-break:break-all\">{link}</a>\
         </p>\n\
         </td></tr></table>\n\
         </td></tr></table>\n\
         </body>\n\
         </html>\n",
        subject = escape(subject),
        lead = escape(lead),
        button = escape(button),
        project = escape(project),
    )
}

/// Escapes a text for HTML, between tags and in quoted attributes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Replaces line breaks, other control characters and bidirectional controls in a name by spaces:
/// they would break the line or reverse the text that follows.
pub(super) fn one_line(name: &str) -> String {
    let is_odd =
        |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    name.split(is_odd).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Returns whether the text is a `#` followed by three or six hexadecimal digits.
fn is_color(text: &str) -> bool {
    text.strip_prefix('#').is_some_and(|digits| {
        matches!(digits.len(), 3 | 6) && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
    })
}

fn date(at: Timestamp) -> String {
    let form =
        format_description!("[day padding:none] [month repr:long] [year], [hour]:[minute] UTC");
    at.to_calendar().and_then(|at| at.format(form).ok()).unwrap_or_else(|| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [MailKind; 3] = [MailKind::Registration, MailKind::Invitation, MailKind::Reset];

    fn words(kind: MailKind, project: &str, color: Option<&str>) -> Content {
        let link = "https://chat.example.com/admin/reset-password?a=1&token=abc.def";
        let expires = Timestamp::from_millis(1_769_860_800_000);
        render(kind, &Parts { project, color, link, expires })
    }

    #[test]
    fn each_mail_names_its_project_link_and_expiry() {
        for kind in KINDS {
            let words = words(kind, "Our chat", Some("#0a7"));

            assert!(words.subject.contains("Our chat"), "{words:?}");
            assert!(
                words.text.contains(
                    "\nhttps://chat.example.com/admin/reset-password?a=1&token=abc.def\n"
                ),
                "{}",
                words.text
            );
            assert!(words.text.contains("until 31 January 2026, 12:00 UTC."), "{}", words.text);
            assert_eq!(words.html.matches("?a=1&amp;token=abc.def").count(), 3, "{}", words.html);
            assert!(words.html.contains("background:#0a7;"), "{}", words.html);
        }
    }

    #[test]
    fn project_names_and_colors_cannot_inject_markup() {
        let name = "A <script>\"&' \r\nBcc: x\u{202e}y";
        for kind in KINDS {
            let words = words(kind, name, Some("red;background:url(x)"));

            assert!(!words.subject.contains(['\r', '\n', '\u{202e}']), "{:?}", words.subject);
            assert!(!words.html.contains("<script>") && !words.html.contains("url("));
            assert!(words.html.contains("A &lt;script&gt;&quot;&amp;&#39;"), "{}", words.html);
            assert!(words.html.contains(COLOR));
        }
    }
}
