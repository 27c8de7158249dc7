//! Prints results. A closed pipe (`chinwag openapi | head`) is not a failure.

use std::io;
use std::io::Write;

use crate::cli::Failure;

/// Prints text to standard output with a trailing line break; prints nothing for an empty text.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let line_end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let written = write!(out, "{text}{line_end}").and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Renders rows below a heading. Each column is as wide as its widest cell.
pub fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = heading.map(|cell| cell.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: [&str; N]| {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        let line: Vec<String> = padded.collect();
        format!("{}\n", line.join("  ").trim_end())
    };
    let lines = rows.iter().map(|row| line(row.each_ref().map(String::as_str)));
    std::iter::once(line(heading)).chain(lines).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = [["é@x".to_owned(), "active".to_owned()], ["ann@x".to_owned(), String::new()]];

        assert_eq!(table(["EMAIL", "STATUS"], &rows), "EMAIL  STATUS\né@x    active\nann@x\n");
    }
}
